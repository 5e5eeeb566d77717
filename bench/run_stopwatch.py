# SPDX-License-Identifier: Apache-2.0
"""The stopwatch: runs within a node's namespaces, executes programs, says how long they took.

A request is a line of JSON on stdin, a list of programs [arguments, environment, stdin]; they are
started at once. The answer is a line on stdout: seconds from before the first start to after the
last end; whether a process stays for longer than it should; and of each program exit status,
seconds of CPU, minor page faults, stdout and stderr. Imports the standard library only and nothing
of the project.
"""

import ctypes
import json
import os
import sys
import time
from typing import Any, NamedTuple

_PR_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h
_PATIENCE = 2.0  # seconds for a child that tells the neighbours


class _Prepared(NamedTuple):
    """A program whose standard files are open already; opening them is not what is measured."""

    arguments: list[str]
    environment: dict[str, str]
    files: tuple[int, int, int]


def main() -> None:
    """Serve requests until stdin ends."""
    # A process that a program leaves behind becomes a child of this one, so that it is noticed.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


def _answer(programs: list[Any]) -> dict[str, Any]:
    prepared = [_prepare(*program) for program in programs]
    ended: dict[int, tuple[int, Any]] = {}
    begin = time.monotonic()  # CLOCK_MONOTONIC
    running = [_start(program) for program in prepared]
    while not ended.keys() >= set(running):
        process, status, usage = os.wait4(-1, 0)
        ended[process] = (status, usage)
    seconds = time.monotonic() - begin
    left = _child_stays()
    endings = [
        _ending(program, *ended[process])
        for program, process in zip(prepared, running, strict=True)
    ]
    return {"seconds": seconds, "left": left, "endings": endings}


def _prepare(arguments: list[str], environment: dict[str, str], stdin: str) -> _Prepared:
    files = tuple(os.memfd_create(name) for name in ("stdin", "stdout", "stderr"))
    os.write(files[0], stdin.encode())
    os.lseek(files[0], 0, os.SEEK_SET)
    return _Prepared(arguments, environment, files)  # type: ignore[arg-type]


def _start(program: _Prepared) -> int:
    standard = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(program.files)]
    return os.posix_spawn(
        program.arguments[0], program.arguments, program.environment, file_actions=standard
    )


def _child_stays() -> bool:
    """Wait for what the programs left behind; tell whether that does not come to an end."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            if os.wait4(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.002)
        except ChildProcessError:
            return False
    return True


def _ending(program: _Prepared, status: int, usage: Any) -> list[object]:
    output = []
    for file in program.files:
        os.lseek(file, 0, os.SEEK_SET)
        with open(file, encoding="utf-8", errors="replace") as text:
            output.append(text.read())
    cpu = usage.ru_utime + usage.ru_stime
    return [os.waitstatus_to_exitcode(status), cpu, usage.ru_minflt, *output[1:]]


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""One call in this process, and the judgement on it: what must hold whatever comes in."""

import gc
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from sriov_cni.cni import log
from sriov_cni.cni.versions import SUPPORTED
from tests.hostile.case import Case

SLOW = "took"
_PATIENCE = 5.0  # seconds a call may take
_STATE = ("/var/lib/cni/sriov", "/var/lib/cni/fixipam")
_PATHS = ("datadir", "logfile")
_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
_LEVEL = f"({'|'.join(log.LEVELS)})"
_LINE = re.compile(
    rf"{_STAMP} {_LEVEL} [\w.-]*\[\d+\]: [^\n]*"
    rf'|{{"time":"{_STAMP}","level":"{_LEVEL}","plugin":"[^"]*","pid":\d+,"[^\n]*}}'
)

_written = 0
_append = log._append


def _counting(line: bytes) -> None:
    global _written
    _written += 1
    _append(line)


log._append = _counting


class Ending(NamedTuple):
    """How a call ended; `log` is stderr and the log file, `lines` how often it wrote to them."""

    status: int
    stdout: bytes
    log: bytes
    lines: int
    seconds: float

    @property
    def answer(self) -> dict[str, Any]:
        """The document on stdout, empty if there is none."""
        return json.loads(self.stdout) if self.stdout else {}

    @property
    def internal(self) -> bool:
        """Tell whether the plugin says of itself that it has a bug."""
        return b"please report this" in self.stdout


def execute(main: Callable[[], None], environment: Mapping[bytes, bytes], stdin: bytes) -> Ending:
    """Have an executable's main function serve a call, with descriptors 0 to 2 of its own."""
    global _written
    _written = 0
    log.configure("info", None)
    open_before = set(os.listdir("/proc/self/fd"))
    with _streams(stdin) as (stdout, stderr), _environment(environment):
        begin = time.monotonic()
        try:
            main()
            status = -1
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else -1
        seconds = time.monotonic() - begin
        text = _content(stderr) + _taken(log._path)
        ending = Ending(status, _content(stdout), text, _written, seconds)
    _close_all_but(open_before)
    return ending


@contextmanager
def _streams(stdin: bytes) -> Iterator[tuple[int, int]]:
    saved = [os.dup(fd) for fd in range(3)]
    ours = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
    try:
        os.write(ours[0], stdin)
        os.lseek(ours[0], 0, os.SEEK_SET)
        for fd in range(3):
            os.dup2(ours[fd], fd)
        yield ours[1], ours[2]
    finally:
        for fd in range(3):
            os.dup2(saved[fd], fd)
            os.close(saved[fd])
            os.close(ours[fd])


@contextmanager
def _environment(environment: Mapping[bytes, bytes]) -> Iterator[None]:
    saved = dict(os.environb)
    try:
        os.environb.clear()
        os.environb.update(environment)
        yield
    finally:
        os.environb.clear()
        os.environb.update(saved)


def _content(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _taken(path: str) -> bytes:
    """Return what a log file under /var/lib has, and begin it anew."""
    path = os.path.normpath(path)
    with suppress(OSError, ValueError):
        if path.startswith("/var/lib/") and stat.S_ISREG(os.lstat(path).st_mode):
            with open(path, "r+b") as file:
                content = file.read()
                file.truncate(0)
            return content
    return b""


def _close_all_but(kept: set[str]) -> None:
    """Close what a call leaves to the end of its process."""
    gc.collect()  # sockets close themselves
    for fd in set(os.listdir("/proc/self/fd")) - kept:
        try:
            os.close(int(fd))
        except OSError:  # that of the listing
            continue


def faults(ending: Ending) -> Iterator[str]:
    """Yield what is wrong with how a call ended, whatever it was asked for."""
    if ending.status not in (0, 1):
        yield f"exit status {ending.status}"
    if ending.seconds > _PATIENCE:
        yield f"{SLOW} {ending.seconds:.0f} s"
    lines = ending.log.decode(errors="replace").split("\n")
    if len(lines) != ending.lines + 1 or not all(map(_LINE.fullmatch, lines[:-1])) or lines[-1]:
        yield f"the log is not {ending.lines} lines"
    if not all(line.isprintable() for line in lines):
        yield "the log is not printable"
    if ending.stdout.count(b"\n") > 1 or not ending.stdout.isascii():
        yield "stdout is more than one line of ASCII"
    try:
        answer = ending.answer
    except ValueError:
        yield "stdout is no JSON"
        return
    if ending.status == 0:
        if "code" in answer or (answer and answer.get("cniVersion") not in SUPPORTED):
            yield "a success with an error object"
        return
    code, msg, version = (answer.get(key) for key in ("code", "msg", "cniVersion"))
    if type(code) is not int or code < 1 or not (isinstance(msg, str) and msg):
        yield "no error object"
    if version not in SUPPORTED or not isinstance(answer.get("details", ""), str):
        yield "an error object that is none of the specification's"
    if ending.internal:
        yield "an internal error"


def strays(case: Case) -> Iterator[str]:
    """Yield what is wrong with the files that calls left under /var/lib."""
    named = tuple(os.path.normpath(path) for path in paths_named(case))
    for directory, directories, files in os.walk("/var/lib"):
        if directory == "/var/lib":
            directories[:] = [name for name in directories if name != "plugins"]
        for name in (*directories, *files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            wanted = 0o700 if stat.S_ISDIR(status.st_mode) else 0o600
            parent = any(known.startswith(f"{path}/") for known in (*named, *_STATE))
            if not parent and not path.startswith((*named, *_STATE)):
                yield f"{path} is outside the state directories"
            if stat.S_IMODE(status.st_mode) != wanted and not stat.S_ISLNK(status.st_mode):
                yield f"{path} has mode {stat.S_IMODE(status.st_mode):o}"


def paths_named(case: Case) -> set[str]:
    """Return the paths to which the case's documents tell the plugin to write."""
    found: set[str] = set()
    for part in (case.stdin, *(part.partition(b"\0")[2] or part for part in case.more)):
        try:
            _collect_paths(json.loads(part), found)
        except (ValueError, RecursionError):
            continue
    return {path for path in found if path.startswith("/") and "\0" not in path}


def _collect_paths(value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if key.lower() in _PATHS and isinstance(item, str):
                found.add(item)
            _collect_paths(item, found)
    elif isinstance(value, list):
        for item in value:
            _collect_paths(item, found)

# SPDX-License-Identifier: Apache-2.0
"""The points of a call of the plugin: its system calls that change, send or ask for something.

strace(1) records them and tampers with them; both count the occurrences of a system call from the
start of the process, so a point found in a recording is found again in the next execution.
"""

import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from glob import glob
from typing import Any, NamedTuple

# TORTURE=all (`make torture`): every point and round; otherwise what `make test` has time for.
EVERYTHING = os.environ.get("TORTURE") == "all"

_CHANGING = """
    socket setsockopt bind connect sendto sendmsg sendmmsg
    write writev pwrite64 pwritev pwritev2 sendfile copy_file_range truncate ftruncate fallocate
    open openat openat2 creat mkdir mkdirat mknod mknodat unlink unlinkat rmdir
    rename renameat renameat2 link linkat symlink symlinkat
    chmod fchmod fchmodat chown fchown fchownat setxattr fsetxattr utimensat
    fsync fdatasync sync syncfs fcntl flock setns unshare mount umount2
    clone clone3 fork vfork execve execveat setsid kill tgkill
"""
_CHANGES = tuple(_CHANGING.split())
_READS = ("recvfrom", "getdents64", "ioctl", "readlink", "newfstatat")
_OPENS = ("open", "openat", "openat2", "creat")
_WRITING = re.compile(r"\b(O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE)\b")
_LOCKING = re.compile(r"\bF_(OFD_)?SETLKW?\b")
_LINE = re.compile(r"(\w+)\((.*)\)\s+= (.*)")
_STDIN = "read(0"  # the call begins with the reading of its configuration
_NAMESPACE = "NS_GET_NSTYPE"
_OF_PYTHON = (sys.prefix, sys.base_prefix, "/etc/", "/lib", "/usr/", "/proc/net/psched")
_REQUESTS = {
    "0x10": "RTM_NEWLINK",
    "0x12": "RTM_GETLINK",
    "0x14": "RTM_NEWADDR",
    "0x16": "RTM_GETADDR",
    "0x18": "RTM_NEWROUTE",
    "0x1a": "RTM_GETROUTE",
    "0x6c": "RTM_NEWLINKPROP",
    "0x6d": "RTM_DELLINKPROP",
}
LOOK = "RTM_GETADDR"  # the step of a look for duplicate addresses
_NLMSG_ERROR, _NLM_F_CAPPED = 2, 0x100
# Only system calls that are traced stop the process, its children's, too; a file for each process.
FEWER_STOPS = ("--seccomp-bpf", "-ff")


class Request(NamedTuple):
    """A request to the kernel (rtnetlink): its length, its sequence number, where it is answered.

    `answer` is the occurrence of recvfrom that reads the first part of the answer.
    """

    length: int
    sequence: int
    answer: int


class Point(NamedTuple):
    """The `nth` occurrence of a system call in a command of the plugin.

    `step` says what the call does, the same in every execution. `changes` tells a call that changes
    or sends something from one that only looks.
    """

    command: str
    syscall: str
    nth: int
    step: str
    changes: bool
    request: Request | None = None

    def __str__(self) -> str:
        return f"{self.command} {self.syscall}#{self.nth} {self.step}"


def recording(*, looking: bool = True) -> list[str]:
    """Return the options with which strace records what `recorded` reads.

    Without `looking`, only calls that change or send something will be found.
    """
    traced = (*_CHANGES, *(_READS if looking else ()), "read")
    syscalls = ",".join(f"?{syscall}" for syscall in traced)
    return ["-y", "-s", "256", "-e", f"trace={syscalls}"]


def killing(point: Point) -> list[str]:
    """Return the options with which strace kills the process at a point.

    SIGKILL comes on entry: the system call of the point is not executed any more, all before are.
    """
    return ["-y", "-e", f"trace={point.syscall}", "-e", _inject(point, "signal=KILL")]


def holding(point: Point, seconds: int = 300) -> list[str]:
    """Return the options with which strace holds each process on entry to a point's system call.

    `kill` kills it there. For machines on which every stop costs: with a filter in the kernel
    (seccomp) no other system call stops the process; but so strace 6.1 injects neither signals nor
    errors, only delays.
    """
    inject = _inject(point, f"delay_enter={seconds}s")
    return [*FEWER_STOPS, "-y", "-e", f"trace={point.syscall}", "-e", inject]


def kill(strace: "subprocess.Popen[Any]", log: str) -> None:
    """Kill the processes that strace writes logs of, each one of its own, the first ones first.

    Those that it holds do not execute the system call that they are held at. Were only strace
    killed, they would, and go on: without it, all system calls of the filter fail with ENOSYS. But
    it keeps the dead, too, for as long as it was to hold them.
    """
    for path in sorted(glob(f"{log}.*"), key=process_of):
        with open(path, encoding="utf-8", errors="replace") as file:
            has_ended = file.read().endswith("+++\n")
        if not has_ended:
            with suppress(ProcessLookupError):
                os.kill(process_of(path), signal.SIGKILL)
    strace.kill()


def is_held(point: Point, trace: str) -> bool:
    """Tell whether a process is held at a point, by strace's log of what it did so far."""
    lines = trace.split("\n")
    entered = [line for line in lines if line.startswith(f"{point.syscall}(")]
    return len(entered) == point.nth and entered[-1] == lines[-1]


def process_of(log: str) -> int:
    """Return the process that a log of strace's (-ff) is of."""
    return int(log.rpartition(".")[2])


def failing(point: Point, error: int, times: int = 1, every: int = 2) -> list[str]:
    """Return the options with which the system call of a point fails, unexecuted.

    More than once: then every second call of it from there on, or `every` so many.
    """
    inject = _inject(point, f"error={error}")
    if times > 1:
        inject += f"..{point.nth + every * (times - 1)}+{every}"
    return ["-y", "-e", f"trace={point.syscall}", "-e", inject]


def refusing(point: Point, request: Request, error: int) -> list[str]:
    """Return the options with which the kernel answers a request with an error, unexecuted."""
    answer = _refusal(request, error)
    poke = f"inject=recvfrom:retval={len(answer) // 2}:poke_exit=@arg2={answer}"
    return [
        *("-y", "-e", "trace=sendto,recvfrom"),
        *("-e", _inject(point, f"retval={request.length}")),
        *("-e", f"{poke}:when={request.answer}"),
    ]


def half_refusing(request: Request, error: int) -> list[str]:
    """Return the options with which the kernel does what a request asks for, and says an error.

    So it answers where a request is about several things, and the last of them fails.
    """
    poke = f"inject=recvfrom:poke_exit=@arg2={_refusal(request, error)}:when={request.answer}"
    return ["-y", "-e", "trace=sendto,recvfrom", "-e", poke]


def _refusal(request: Request, error: int) -> str:
    """Return an error message (struct nlmsgerr) in hexadecimal."""
    header = (36, _NLMSG_ERROR, _NLM_F_CAPPED, request.sequence, 0)
    return struct.pack("=IHHIIi16x", *header, -error).hex()


def _inject(point: Point, what: str) -> str:
    return f"inject={point.syscall}:{what}:when={point.nth}"


def recorded(command: str, trace: str, source: str, begin: str = _STDIN) -> list[Point]:
    """Return the points in a recording, from the first line on that begins so: reading stdin.

    The interpreter's own calls, reading the modules in `source` for example, are none.
    """
    lines = trace.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(begin))
    occurrences: dict[str, int] = {}
    points = []
    for number, line in enumerate(lines):
        found = _LINE.match(line)
        # A call that the kernel begins anew is one: a write to a sysctl, say, which it begins
        # dozens of times while the RTNL lock is another's.
        if found is None or "ERESTART" in found[3]:
            continue
        syscall, arguments, _ = found.groups()
        nth = occurrences[syscall] = occurrences.get(syscall, 0) + 1
        if number < first or _is_pythons_own(syscall, arguments, source):
            continue
        request = None
        if syscall == "sendto" and "nlmsg_type" in arguments:
            request = _request(arguments, occurrences.get("recvfrom", 0) + 1)
        points.append(
            Point(command, syscall, nth, step(line), _changes(syscall, arguments), request)
        )
    return list(_without_repeated_looks(points))


def _without_repeated_looks(points: Iterable[Point]) -> Iterator[Point]:
    """Yield the points without those of a look that is made until it tells something.

    ADD looks for duplicate addresses for a few milliseconds: how often is others each time.
    """
    asked = ""
    repeating = False
    for point in points:
        if point.syscall == "sendto":
            repeating = asked == point.step == LOOK
            asked = point.step
        if not (repeating and point.syscall in ("sendto", "recvfrom")):
            yield point


def step(line: str) -> str:
    """Return what a line of strace's output does, without what differs between executions."""
    found = _LINE.match(line)
    if found is None:
        return line
    syscall, arguments, _ = found.groups()
    if kind := re.search(r"nlmsg_type=(\w+)", arguments):
        if syscall == "recvfrom":
            return kind[1]
        names = re.findall(r"nla_type=(IFLA_\w+)", arguments)
        flags = re.findall(r"ifi_flags=(\w+), ifi_change=(?!0\b)", arguments)
        return " ".join([_REQUESTS.get(kind[1], kind[1]), *names, *flags])
    if syscall in ("write", "sendto", "recvfrom", "getdents64", "ioctl"):
        arguments = arguments.partition(">")[0] + ">"
    if syscall in ("readlink", "newfstatat"):
        arguments = arguments.partition('",')[0] + '"'
    arguments = re.sub(r"nl_pad=\w+, |, child_tidptr=\w+| <unfinished ...>", "", arguments)
    arguments = re.sub(r"\w+<(socket|net|pipe):\[\d+\]>", r"\1", arguments)
    arguments = re.sub(r"AT_FDCWD<[^>]*>, ", "", arguments)
    arguments = re.sub(r"\b\d+<([^>]*)>", r"\1", arguments)
    return re.sub(r"killed-[0-9]+-[0-9]+", "CONTAINER", arguments)


def one_of_each_step(points: Iterable[Point]) -> Iterator[Point]:
    """Yield the first point of each distinct step of each command.

    Entering a namespace is another step each time: what is done there differs.
    """
    seen = set()
    for point in points:
        key = (point.command, point.syscall, point.nth if point.syscall == "setns" else point.step)
        if key not in seen:
            seen.add(key)
            yield point


def _changes(syscall: str, arguments: str) -> bool:
    if syscall in _OPENS:
        return _WRITING.search(arguments) is not None
    if syscall == "fcntl":
        return _LOCKING.search(arguments) is not None
    return syscall in _CHANGES


def _is_pythons_own(syscall: str, arguments: str, source: str) -> bool:
    """Tell what the interpreter does for itself: reading modules, looking at descriptors."""
    if syscall == "fcntl":
        return _LOCKING.search(arguments) is None
    if syscall == "ioctl":
        return _NAMESPACE not in arguments
    if syscall in (*_OPENS, *_READS) and syscall != "recvfrom":
        path = max(re.findall(r'[<"](/[^>"]*)', arguments), key=len, default="/")
        return path == "/" or '""' in arguments or path.startswith((source, *_OF_PYTHON))
    return syscall == "read"


def _request(arguments: str, answer: int) -> Request:
    length = re.search(r"nlmsg_len=(\d+)", arguments)
    sequence = re.search(r"nlmsg_seq=(\d+)", arguments)
    assert length is not None
    assert sequence is not None
    return Request(int(length[1]), int(sequence[1]), answer)

# SPDX-License-Identifier: Apache-2.0
"""Every error path: whatever call of ADD, DEL or GC fails, the answer is right, nothing is lost.

A trial makes one call fail, or has the kernel refuse one request (in its answer, as drivers do).
The answer must be true: a success is one (CHECK agrees; a DEL has left nothing but what it says
that the VF's next ADD will try), an error is the specification's object, "everything done was
undone" means that, and a DEL afterwards, or that next ADD with its DEL, leaves the node as it was.
`TORTURE=all pytest tests/torture` tries every call with every error, otherwise the first of each
distinct step has one.

Calls that only look (at the pod's namespace, at records, at sysfs) are tried too: what cannot be
looked at is not gone.
"""

import errno
import json
from collections.abc import Iterator
from itertools import cycle
from typing import NamedTuple

import pytest

from tests.points import EVERYTHING, Point, failing, one_of_each_step, refusing
from tests.torture.node import Ending, TortureNode
from tests.torture.sweep import sweep

_REFUSALS = (errno.EBUSY, errno.ENOMEM, errno.EPERM, errno.EIO, errno.EEXIST)
_SOCKETS = (errno.ENOMEM, errno.EPERM, errno.ENOBUFS)
_WRITES = (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EPERM, errno.ENOMEM)
_ERRORS = {
    "openat": (*_WRITES, errno.EMFILE),
    "newfstatat": (errno.ENOMEM, errno.EIO),
    "readlink": (errno.ENOMEM, errno.EIO),
    "getdents64": (errno.ENOMEM, errno.EIO),
    "ioctl": (errno.ENOMEM, errno.EIO),
    "fcntl": (errno.ENOLCK, errno.EIO, errno.ENOMEM),
    "flock": (errno.ENOLCK, errno.EIO, errno.ENOMEM),
    "setns": (errno.EPERM, errno.ENOMEM, errno.EIO),
    "clone": (errno.EAGAIN, errno.ENOMEM),
    **dict.fromkeys(("socket", "setsockopt", "bind", "sendto", "recvfrom"), _SOCKETS),
}
_NOTED = "is not as it was, its next ADD tries again"  # of what no DEL can set right
_UNDONE = "everything done was undone"
_PATIENCE = 10.0  # seconds a call that has nothing to wait for may take


class _Case(NamedTuple):
    """A point, the error it gets, and whether that is the kernel's answer to a request."""

    point: Point
    error: int
    refused: bool

    def __str__(self) -> str:
        verb = "refused with" if self.refused else "fails with"
        return f"{self.point} {verb} {errno.errorcode[self.error]}"

    def tampering(self) -> list[str]:
        """Return strace's options."""
        if self.refused and self.point.request is not None:
            return refusing(self.point, self.point.request, self.error)
        return failing(self.point, self.error)


@pytest.mark.parametrize("command", ["ADD", "DEL", "GC"])
def test_every_error_is_told_and_undone(
    product: str, points: list[Point], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    concerned = [point for point in points if point.command == command]
    chosen = concerned if EVERYTHING else list(_sample(concerned))
    cases = list(_cases(chosen) if EVERYTHING else _one_case_each(chosen))
    losses = sweep(product, cases, _fail)
    with capsys.disabled():
        print(
            f"\n{command} with errors at {len(chosen)} of {len(concerned)} points, "
            f"{len(cases)} cases: {len(losses)} losses"
        )
    assert not losses, "\n".join(losses)


def _sample(points: list[Point]) -> Iterator[Point]:
    """Yield one point of each step; without those whose answer is refused anyway, or not minded."""
    skipped = ("recvfrom", "setsockopt")
    return one_of_each_step(point for point in points if point.syscall not in skipped)


def _cases(points: list[Point]) -> Iterator[_Case]:
    for point in points:
        if point.request is not None:
            yield from (_Case(point, error, True) for error in _REFUSALS)
        for error in _ERRORS.get(point.syscall, _WRITES):
            yield _Case(point, error, False)


def _one_case_each(points: list[Point]) -> Iterator[_Case]:
    turns = {point.syscall: cycle(_ERRORS.get(point.syscall, _WRITES)) for point in points}
    refusals = cycle(_REFUSALS)
    for point in points:
        if point.request is not None:
            yield _Case(point, next(refusals), True)
        else:
            yield _Case(point, next(turns[point.syscall]), False)


def _fail(node: TortureNode, case: _Case) -> list[str]:
    """Have a call fail, then DEL; return what was untrue and what is not as before."""
    point = case.point
    if point.command != "ADD":
        added = node.call("ADD")
        if added.status != 0:
            return [f"not tried: ADD failed: {added.stdout}"]
    if case.refused and case.error == errno.EEXIST:
        node.expect_chosen_name()
    ending = node.call(point.command, case.tampering())
    if ending.trace.count("(INJECTED") != (2 if case.refused else 1):
        return [f"not tried: {ending.stdout} {ending.trace[-300:]}"]
    problems = _untrue(node, point, ending)
    done = node.call("DEL")
    if done.status != 0 or done.stdout:
        problems.append(f"DEL afterwards failed: {done.stdout} {done.stderr}")
    if _NOTED in ending.stderr:
        recoveries = [node.call(command) for command in ("ADD", "DEL")]
        problems += [f"the next {ending.stdout}" for ending in recoveries if ending.status != 0]
    left = [f"{left} (after the DEL)" for left in node.left()]
    return [*problems, *left, f"the answer was {ending.stdout}"] if problems or left else []


def _untrue(node: TortureNode, point: Point, ending: Ending) -> list[str]:
    problems = [f"took {ending.seconds:.0f} s"] if ending.seconds > _PATIENCE else []
    if point.syscall == "write" and point.step == "pipe" and ending.status == 1:
        return problems  # nobody could be told
    if fault := ending.fault():
        return [*problems, fault]
    answer = json.loads(ending.stdout or "{}")
    if ending.status == 0 and point.command == "ADD":
        check = node.call("CHECK", prevResult=answer)
        return [*problems, f"success, but {check.stdout}"] if check.status else problems
    said_to_be_well = ending.status == 0 and _NOTED not in ending.stderr
    if said_to_be_well or _UNDONE in answer.get("details", ""):
        problems += [f"{left} (although all was said to be well)" for left in node.left()]
    return problems

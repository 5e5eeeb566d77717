# SPDX-License-Identifier: Apache-2.0
"""Killed anywhere, on real drivers: a DEL or a GC brings the VF back as it was, nothing is lost.

tests/torture kills the plugin, from source, at every call, on devices without a driver. Here are
the frozen executables and what only a driver does: VLAN, attributes, both MACs, MTU. As there, a
trial kills ADD or DEL on entry to one system call that changes or sends something; then comes a DEL
or, every second time, a GC.

The guest is slow, so a kernel has every second of the distinct steps: the two of `make test-lab`
have all between them. With TORTURE=all (`make torture`) each has every call, with both recoveries.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

import pytest

from tests import card
from tests.lab.torture_vf import TortureVf
from tests.points import EVERYTHING, Point, one_of_each_step

_RECOVERIES = ("DEL", "GC")
_ATTEMPTS = 5
_WORKERS = 2  # as many as the guest has CPUs; each on a card of its own


class _Case(NamedTuple):
    """The number of a point, the same for each VF, and what follows the kill there."""

    number: int
    recovery: str


def _recorded(vfs: list[TortureVf], workers: ThreadPoolExecutor) -> list[list[Point]]:
    """Return the points of each VF; their names differ, but not what they do."""
    for _ in range(_ATTEMPTS):
        points = list(workers.map(TortureVf.points, vfs))
        steps, *others = ([point[:3] for point in found] for found in points)
        if others == [steps] * len(others):
            return points
        for vf in vfs:
            vf.renew()
    differing = next(
        (pair for pair in zip(*points, strict=False) if pair[0][:3] != pair[1][:3]), None
    )
    pytest.fail(f"the points are others each time: {[*map(len, points)]}, first {differing}")


def _chosen(points: list[Point]) -> list[_Case]:
    numbers = range(len(points))
    if EVERYTHING:
        return [_Case(number, recovery) for recovery in _RECOVERIES for number in numbers]
    ours = 0 if os.uname().release.startswith("6.1.") else 1
    steps = [points.index(point) for point in one_of_each_step(points)][ours::2]
    return [_Case(number, _RECOVERIES[n % 2]) for n, number in enumerate(steps)]


@pytest.mark.usefixtures("unchanged")
def test_nothing_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(_WORKERS) as workers:
        vfs = [stack.enter_context(TortureVf(pf, str(tmp_path))) for pf in card.PFS[:_WORKERS]]
        points = _recorded(vfs, workers)
        cases = _chosen(points[0])
        todo: SimpleQueue[_Case] = SimpleQueue()
        for case in cases:
            todo.put(case)
        with capsys.disabled():
            losses = [
                loss for lost in workers.map(_work, vfs, points, [todo] * _WORKERS) for loss in lost
            ]
    tried = len({case.number for case in cases})
    with capsys.disabled():
        print(
            f"\nADD and DEL killed at {tried} of {len(points[0])} points, {len(cases)} cases: "
            f"{len(losses)} losses"
        )
    assert not losses, "\n".join(losses)


def _work(vf: TortureVf, points: list[Point], todo: "SimpleQueue[_Case]") -> list[str]:
    """Try cases until none is left or one was lost, which spoils the VF."""
    while True:
        try:
            case = todo.get_nowait()
        except Empty:
            return []
        point = points[case.number]
        for _ in range(_ATTEMPTS):
            vf.renew()
            there, problems = _kill(vf, point, case.recovery)
            if there or problems:
                break
        else:
            problems = [f"not tried: it did not get there in {_ATTEMPTS} attempts"]
        print(".", end="", flush=True)  # the lab ends a guest that is silent for long
        if problems:
            return [f"{point}, then {case.recovery}: {'; '.join(problems)}"]


def _kill(vf: TortureVf, point: Point, recovery: str) -> tuple[bool, list[str]]:
    """Kill a command at a point and recover.

    Return whether the command got there, and what is not as before.
    """
    if point.command == "DEL" and (added := vf.call("ADD")).status:
        return False, [f"not tried: ADD failed: {added.said}"]
    there = vf.kill(point)
    recovered = vf.call(recovery)
    failed = (
        [f"{recovery} failed: {recovered.said}"] if recovered.status or recovered.document else []
    )
    return there, failed + vf.left()

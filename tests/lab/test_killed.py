# SPDX-License-Identifier: Apache-2.0
"""Killed anywhere, on real drivers: a DEL or a GC brings the VF back as it was, nothing is lost.

tests/torture kills the plugin, from source, at every call, on devices without a driver. Here are
the frozen executables and what only a driver does: VLAN, attributes, both MACs, MTU. As there, a
trial kills ADD or DEL on entry to one system call that changes or sends something; then comes a DEL
or, every second time, a GC.

The guest is slow, so a kernel has every second of the distinct steps: the two of `make test-lab`
have all between them. With TORTURE=all (`make torture`) each has every call, with both cures.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

import pytest

from tests.lab import card
from tests.lab.victim import Victim
from tests.torture.points import Point, one_of_each_step

EVERYTHING = os.environ.get("TORTURE") == "all"
_CURES = ("DEL", "GC")
_ATTEMPTS = 5
_WORKERS = 2  # as many as the guest has CPUs; each on a card of its own


class _Case(NamedTuple):
    """The number of a point, the same for each victim, and what follows the kill there."""

    number: int
    cure: str


def _recorded(victims: list[Victim], workers: ThreadPoolExecutor) -> list[list[Point]]:
    """Return the points of each victim; their names differ, but not what they do."""
    for _ in range(_ATTEMPTS):
        points = list(workers.map(Victim.points, victims))
        steps, *others = ([point[:3] for point in found] for found in points)
        if others == [steps] * len(others):
            return points
        for victim in victims:
            victim.renew()
    pytest.fail(f"the points are others each time: {points}")


def _chosen(points: list[Point]) -> list[_Case]:
    numbers = range(len(points))
    if EVERYTHING:
        return [_Case(number, cure) for cure in _CURES for number in numbers]
    ours = 0 if os.uname().release.startswith("6.1.") else 1
    steps = [points.index(point) for point in one_of_each_step(points)][ours::2]
    return [_Case(number, _CURES[n % 2]) for n, number in enumerate(steps)]


@pytest.mark.usefixtures("unchanged")
def test_nothing_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(_WORKERS) as workers:
        victims = [stack.enter_context(Victim(pf, str(tmp_path))) for pf in card.PFS[:_WORKERS]]
        points = _recorded(victims, workers)
        cases = _chosen(points[0])
        todo: SimpleQueue[_Case] = SimpleQueue()
        for case in cases:
            todo.put(case)
        losses = [
            loss for lost in workers.map(_work, victims, points, [todo] * _WORKERS) for loss in lost
        ]
    tried = len({case.number for case in cases})
    with capsys.disabled():
        print(
            f"\nADD and DEL killed at {tried} of {len(points[0])} points, {len(cases)} cases: "
            f"{len(losses)} losses"
        )
    assert not losses, "\n".join(losses)


def _work(victim: Victim, points: list[Point], todo: "SimpleQueue[_Case]") -> list[str]:
    """Try cases until none is left or one was lost, which spoils the victim."""
    while True:
        try:
            case = todo.get_nowait()
        except Empty:
            return []
        point = points[case.number]
        for _ in range(_ATTEMPTS):
            victim.renew()
            there, problems = _kill(victim, point, case.cure)
            if there or problems:
                break
        else:
            problems = [f"not tried: it did not get there in {_ATTEMPTS} attempts"]
        if problems:
            return [f"{point}, then {case.cure}: {'; '.join(problems)}"]


def _kill(victim: Victim, point: Point, cure: str) -> tuple[bool, list[str]]:
    """Kill a command at a point and have the cure.

    Return whether the command got there, and what is not as before.
    """
    if point.command == "DEL" and (added := victim.call("ADD")).status:
        return False, [f"not tried: ADD failed: {added.said}"]
    there = victim.kill(point)
    cured = victim.call(cure)
    failed = [f"{cure} failed: {cured.said}"] if cured.status or cured.document else []
    return there, failed + victim.left()

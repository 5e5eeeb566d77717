# SPDX-License-Identifier: Apache-2.0
"""Killed anywhere: whenever ADD, DEL or GC is killed, a DEL or a GC sets everything right.

A trial kills the plugin on entry to one system call that changes or sends something: what it did
before is done, what it was about to do is not, and the next point has that done too. Then comes a
DEL, a GC, or the next container's ADD on the same VF and after that the late DEL, which must leave
the next container alone. `TORTURE=all pytest tests/torture` tries all three at each point,
otherwise the first point of each distinct step has one of them.
"""

import json
from typing import NamedTuple

import pytest

from tests.points import EVERYTHING, Point, killing, one_of_each_step, step
from tests.torture.node import Ending, TortureNode
from tests.torture.sweep import sweep


class _Case(NamedTuple):
    """A point, and what follows the kill there: DEL, GC, or an ADD for the next container."""

    point: Point
    recovery: str

    def __str__(self) -> str:
        return f"{self.point}, then {self.recovery}"


@pytest.mark.parametrize("command", ["ADD", "DEL", "GC"])
def test_nothing_is_lost(
    product: str, points: list[Point], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    deadly = [point for point in points if point.command == command and point.changes]
    chosen = deadly if EVERYTHING else list(one_of_each_step(deadly))
    recoveries = ("DEL", "GC", "ADD")
    cases = (
        [_Case(point, recovery) for recovery in recoveries for point in chosen]
        if EVERYTHING
        else [_Case(point, recoveries[number % 3]) for number, point in enumerate(chosen)]
    )
    losses = sweep(product, cases, _kill)
    with capsys.disabled():
        print(
            f"\n{command} killed at {len(chosen)} of {len(deadly)} points, {len(cases)} cases: "
            f"{len(losses)} losses"
        )
    assert not losses, "\n".join(losses)


def _kill(node: TortureNode, case: _Case) -> list[str]:
    """Kill a command at a point, see to what follows, and return what is not as before."""
    point, recovery = case
    if point.command != "ADD":
        added = node.call("ADD")
        if added.status != 0:
            return [f"not tried: ADD failed: {added.stdout}"]
    ending = node.call(point.command, killing(point))
    last = next((line for line in reversed(ending.trace.splitlines()) if "= ?" in line), "")
    if not ending.killed or step(last) != point.step:
        return [f"not tried: it ended with status {ending.status} at {last}"]
    problems = (
        _next_container(node) if recovery == "ADD" else _failed(recovery, node.call(recovery))
    )
    return problems + node.left()


def _next_container(node: TortureNode) -> list[str]:
    """Give the VF to the next container, then have the late DEL; return what is wrong.

    Where the ADD is refused, because something is the killed one's still, the DEL makes it
    possible.
    """
    name = f"{node.container}-next"
    wanted = {"cni": {"ips": ["10.1.0.6", "fd00:1::6"]}}
    given = node.call("ADD", container=name, args=wanted)
    problems = _failed("late DEL", node.call("DEL"))
    if given.status != 0:
        given = node.call("ADD", container=name, args=wanted)
    if given.status != 0:
        return [*problems, f"next ADD failed: {given.stdout}"]
    result = json.loads(given.stdout)
    checked = node.call("CHECK", container=name, args=wanted, prevResult=result)
    problems += _failed("the next container's CHECK", checked)
    return problems + _failed("the next container's DEL", node.call("DEL", container=name))


def _failed(what: str, ending: Ending) -> list[str]:
    if ending.status == 0 and not ending.stdout:
        return []
    return [f"{what} failed: {ending.status} {ending.stdout} {ending.stderr}"]

# SPDX-License-Identifier: Apache-2.0
"""Preparing a node while it starts: who is waited for, for how long, and who is let go when.

Time passes only while events are waited for; there is one each second.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sriov_cni.attachment.records import AttachmentRecords
from sriov_node.preparation import apart, boot, effects
from sriov_node.preparation.apply import Listener, Result
from sriov_node.preparation.facts import Facts, Pf
from sriov_node.preparation.pf import Site
from sriov_node.preparation.step import Action, Step
from sriov_node.preparation.wanted import Match, Wanted, WantedNode

FIRST, LATE = "0000:3b:00.0", "0000:5e:00.0"
NEVER = float("inf")
WANTED = WantedNode(
    tuple(
        Wanted(Match(address=address), f"node.json: functions[{index}]", mtu=9000)
        for index, address in enumerate((FIRST, LATE))
    )
)


class Clock:
    """What stands for the module `time`, and for timers."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, Callable[[], object]]] = []

    def monotonic(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Let time pass; timers that run out meanwhile do what they are for."""
        end = self.now + seconds
        for at, call in [each for each in self._timers if each[0] <= end]:
            self.now = at
            call()
            self._timers.remove((at, call))
        self.now = end

    def timer(self, seconds: float, call: Callable[[], object]) -> "Timer":
        return Timer(self._timers, (self.now + seconds, call))


class Timer:
    """What stands for threading.Timer."""

    daemon = False

    def __init__(self, timers: list[Any], entry: Any) -> None:
        self._timers, self._entry = timers, entry

    def start(self) -> None:
        assert self.daemon  # a thread that waits would keep the program from its end
        self._timers.append(self._entry)

    def cancel(self) -> None:
        if self._entry in self._timers:
            self._timers.remove(self._entry)

    def join(self) -> None:
        """There is no thread to wait for."""


class Events:
    """The kernel's events."""

    clock: Clock

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is to be closed."""

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.clock.pass_by(min(seconds, 1.0))


class Machine:
    """A machine whose second card comes after so many seconds; steps do what they say."""

    def __init__(self, directory: Path, clock: Clock, comes: float) -> None:
        self._clock = clock
        self._mtus = {FIRST: 1500, LATE: 1500}
        self._comes = comes
        self.let_go: list[float] = []  # when
        self.prepared: dict[str, float] = {}
        self.step_takes = 0.0
        self._site = Site(
            look=lambda pf: self._look(),
            records=AttachmentRecords(str(directory / "records"), create=True),
            preparing=str(directory / "preparing"),
        )

    def prepare(self) -> Result:
        listener = Listener(lambda step, facts: None, lambda refusals, facts: None)
        return boot.prepare(
            self._site, listener, WANTED, lambda: self.let_go.append(self._clock.now)
        )

    def take(self, step: Step) -> None:
        assert step.action is Action.MTU
        self._clock.pass_by(self.step_takes)
        self._mtus[step.pf] = int(step.value)
        self.prepared[step.pf] = self._clock.now

    def _look(self) -> Facts:
        there = (FIRST, LATE) if self._clock.now >= self._comes else (FIRST,)
        pfs = (Pf(a, "8086", "1592", (f"eth-{a}",), driver="ice", mtu=self._mtus[a]) for a in there)
        return Facts({pf.address: pf for pf in pfs})


Make = Callable[[float], Machine]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a machine whose second card comes after so many seconds."""
    monkeypatch.setattr(Events, "clock", clock, raising=False)
    monkeypatch.setattr(boot, "time", clock)
    monkeypatch.setattr(boot, "Timer", clock.timer)
    monkeypatch.setattr(boot, "Uevents", Events)
    monkeypatch.setattr(boot, "_UDEV_RUNS", str(tmp_path / "none"))
    # in this process, which has the machine
    monkeypatch.setattr(apart, "run", lambda task, hear, patience: task(hear))

    def make(comes: float) -> Machine:
        machine = Machine(tmp_path, clock, comes)
        monkeypatch.setattr(effects, "take", machine.take)
        return machine

    return make


def test_nobody_is_held_up_where_all_cards_are_there(
    machine: Make, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    node = machine(0)
    result = node.prepare()
    assert result.left.is_reached
    assert [step.pf for step in result.taken] == [FIRST, LATE]
    assert (node.let_go, clock.now) == ([0], 0)
    assert caplog.records == []


def test_a_card_that_comes_soon_is_prepared_before_anybody_is_let_go(machine: Make) -> None:
    node = machine(7)
    assert node.prepare().left.is_reached
    assert (node.prepared, node.let_go) == ({FIRST: 0, LATE: 7}, [7])


def test_a_card_that_comes_late_is_prepared_after_others_were_let_go(machine: Make) -> None:
    node = machine(40)
    assert node.prepare().left.is_reached
    assert node.let_go[0] == boot.HOLD == 20
    assert node.prepared == {FIRST: 0, LATE: 40}


def test_a_driver_that_takes_its_time_holds_nobody_up(machine: Make) -> None:
    node = machine(0)
    node.step_takes = 50
    assert node.prepare().left.is_reached
    assert node.let_go[0] == boot.HOLD
    assert node.prepared == {FIRST: 50, LATE: 100}


def test_a_card_that_never_comes_holds_nobody_up_for_long_and_is_a_fault(
    machine: Make, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    node = machine(NEVER)
    result = node.prepare()
    assert (node.let_go[0], clock.now) == (boot.HOLD, boot.PATIENCE)
    assert [step.pf for step in result.taken] == [FIRST]
    (fault,) = result.left.faults
    assert fault.startswith(f"node.json: functions[1]: no PF has address {LATE}")
    (line,) = caplog.messages
    assert line.endswith(f"that are not there: node.json: functions[1] (address {LATE})")

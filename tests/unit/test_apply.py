# SPDX-License-Identifier: Apache-2.0
"""Applying what is wanted to two cards, of which one makes trouble: what is told, and what is done.

The cards are files, since each is prepared by a process of its own.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.modules import ModuleError
from sriov_node.preparation import apply as application
from sriov_node.preparation import effects, marker
from sriov_node.preparation.apply import Listener, Result, apply
from sriov_node.preparation.facts import Facts, Pf
from sriov_node.preparation.pf import Site
from sriov_node.preparation.step import Action, Step
from sriov_node.preparation.wanted import Match, Wanted, WantedNode
from tests.plugin import wait_for

BAD, GOOD = "0000:3b:00.0", "0000:5e:00.0"
WANTED = WantedNode(
    tuple(
        Wanted(Match(address=address), f"node.json: functions[{index}]", mtu=9000)
        for index, address in enumerate((BAD, GOOD))
    )
)


class Machine:
    """Two cards, and what taking a step does to the first one."""

    def __init__(self, directory: Path) -> None:
        self._mtus = directory
        self.records = AttachmentRecords(str(directory / "records"), create=True)
        self.preparing = str(directory / "preparing")
        self.trouble: Callable[[], object] = lambda: None
        self.told: list[Step] = []
        for address in (BAD, GOOD):
            (directory / address).write_text("1500")

    def apply(self, wanted: WantedNode = WANTED) -> Result:
        listener = Listener(
            lambda step, facts: self.told.append(step), lambda refusals, facts: None
        )
        return apply(Site(self._look, self.records, self.preparing), listener, wanted)

    def take(self, step: Step) -> None:
        if step.action is Action.LOAD:
            raise ModuleError(f"loading module {step.value}: not found")
        if step.pf == BAD:
            self.trouble()
        (self._mtus / step.pf).write_text(step.value)

    def mtu(self, pf: str) -> str:
        return (self._mtus / pf).read_text()

    def _look(self, ours: str) -> Facts:
        pfs = (
            Pf(a, "8086", "1592", (f"eth-{a}",), driver="ice", mtu=int(self.mtu(a)))
            for a in (BAD, GOOD)
        )
        held = marker.held(self.preparing) - {ours}
        return Facts({pf.address: pf for pf in pfs}, preparing=held)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr(effects, "take", machine.take)
    return machine


def test_what_is_prepared_is_left_alone_the_next_time(machine: Machine) -> None:
    result = machine.apply()
    assert [step.pf for step in result.taken] == [BAD, GOOD]
    assert result.left.is_reached
    assert machine.apply().taken == ()


def test_what_the_kernel_refuses_spares_the_next_card(machine: Machine) -> None:
    def refuse() -> None:
        raise KernelError(22, "setting the MTU of eth0")

    machine.trouble = refuse
    result = machine.apply()
    (problem,) = result.problems
    assert problem.startswith("node.json: functions[0]: setting the MTU of eth0: Invalid argument")
    assert [step.pf for step in machine.told] == [BAD, GOOD]
    assert [step.pf for step in result.taken] == [GOOD]
    assert (machine.mtu(BAD), machine.mtu(GOOD)) == ("1500", "9000")


def test_a_step_that_does_not_return_is_told_and_its_process_keeps_the_card(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(application, "PATIENCE", 1.0)
    machine.trouble = lambda: wait_for((tmp_path / "returns").exists, 60)
    result = machine.apply()
    (problem,) = result.problems
    assert f"functions[0]: {BAD}: set MTU 9000: the kernel does not return for 1 s" in problem
    assert [step.pf for step in result.taken] == [GOOD]
    (refusal,) = result.left.refusals
    assert (refusal.address, refusal.uses) == (BAD, ("is being prepared by another process",))
    (tmp_path / "returns").touch()
    wait_for(lambda: not marker.held(machine.preparing), 60)
    os.wait()
    assert machine.mtu(BAD) == "9000"


def test_a_process_that_is_killed_is_told_and_the_next_card_is_prepared(machine: Machine) -> None:
    machine.trouble = lambda: os.kill(os.getpid(), signal.SIGKILL)
    result = machine.apply()
    assert result.problems == (
        f"node.json: functions[0]: {BAD}: set MTU 9000: its process was killed",
    )
    assert [step.pf for step in result.taken] == [GOOD]
    assert [step.pf for step in result.left.steps] == [BAD]
    machine.trouble = lambda: None
    assert machine.apply().left.is_reached


def test_a_module_that_cannot_be_loaded_spares_the_cards(machine: Machine) -> None:
    result = machine.apply(WANTED._replace(modules=("vhost-net",)))
    assert result.problems == ("load module vhost-net: loading module vhost-net: not found",)
    assert [step.pf for step in result.taken] == [BAD, GOOD]

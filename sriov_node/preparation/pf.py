# SPDX-License-Identifier: Apache-2.0
"""Making one PF what is wanted: plan, take the steps, plan again, until none is left."""

import time
from collections.abc import Callable
from typing import NamedTuple

from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.modules import ModuleError
from sriov_node.preparation import effects, locks, marker
from sriov_node.preparation.facts import Facts
from sriov_node.preparation.plan import plan
from sriov_node.preparation.step import Plan, Refusal, Step
from sriov_node.preparation.wanted import Wanted, WantedNode

_ROUNDS = 4  # a PF without driver takes two, one with VFs whose driver comes late a third
_PAUSE = 1.0  # seconds between two looks whether devices in use are free


class Site(NamedTuple):
    """Where a node is prepared.

    `look` returns what is the case now, given the address of the PF that the asking process
    prepares, "" for none. `records` has the locks. `preparing` is the directory whose files tell
    which PFs are being prepared.
    """

    look: Callable[[str], Facts]
    records: AttachmentRecords
    preparing: str = marker.DIRECTORY


class News(NamedTuple):
    """What is told meanwhile: a step that is about to be taken, or else who is waited for."""

    facts: Facts
    step: Step | None = None
    waiting: tuple[Refusal, ...] = ()


class Part(NamedTuple):
    """What came of one PF: the steps taken, the plan of what is left, and what went wrong."""

    taken: tuple[Step, ...]
    left: Plan
    problem: str = ""
    busy: tuple[Refusal, ...] = ()


class Preparation:
    """The preparation of one PF; `tell` hears the news."""

    def __init__(self, site: Site, function: Wanted, tell: Callable[[News], object]) -> None:
        self._site = site
        self._function = function
        self._tell = tell
        self._pf = ""  # while this process has the file that tells of the preparation
        self._taken: list[Step] = []

    def run(self, deadline: float = 0.0) -> Part:
        """Prepare the PF; until `deadline` (time.monotonic()) wait for VFs that are in use.

        Raises KernelError if the kernel does not tell what is the case.
        """
        for _ in range(_ROUNDS):
            left = self._plan(self._look())
            if not (left.steps or (left.refusals and time.monotonic() < deadline)):
                return self._part(left)
            try:
                with marker.holding(self._site.preparing, left.pfs[0]):
                    self._pf = left.pfs[0]
                    self._wait_for_pods(deadline)
                    self._take_steps()
            except locks.BusyError as error:
                busy = Refusal(left.pfs[0], None, error.address, "be prepared", (locks.BUSY,))
                return self._part(left, busy=(busy,))
            except (KernelError, ModuleError, marker.BusyError) as error:
                return self._part(left, str(error))
            finally:
                self._pf = ""
        left = self._plan(self._look())
        if not left.steps:
            return self._part(left)
        step = left.steps[0]
        still = f"after {_ROUNDS} attempts {step.pf} still has to {step.words}: {step.reason}"
        return self._part(left, still)

    def _part(self, left: Plan, problem: str = "", busy: tuple[Refusal, ...] = ()) -> Part:
        return Part(tuple(self._taken), left, problem, busy)

    def _wait_for_pods(self, deadline: float) -> None:
        """Wait until no VF that must go is in use, and tell each second that this one still waits.

        The agent meanwhile gives the other VFs of the PF to nobody.
        """
        while time.monotonic() < deadline:
            facts = self._look()
            refusals = self._plan(facts).refusals
            if not refusals:
                return
            self._tell(News(facts, waiting=refusals))
            time.sleep(_PAUSE)

    def _take_steps(self) -> None:
        """Take the steps of a plan that is made under the locks of the VFs it is about."""
        facts = self._look()
        found = self._plan(facts)
        if not found.steps:
            return
        pf = facts.pfs[found.pfs[0]]
        held = locks.needed(pf, found.steps)
        with locks.holding(self._site.records, held):
            found = self._plan(self._look())
            if locks.needed(pf, found.steps) <= held:  # otherwise the next round sees what changed
                for step in found.steps:
                    self._tell(News(facts, step))
                    effects.take(step)
                    self._taken.append(step)

    def _look(self) -> Facts:
        return self._site.look(self._pf)

    def _plan(self, facts: Facts) -> Plan:
        return plan(WantedNode((self._function,)), facts)

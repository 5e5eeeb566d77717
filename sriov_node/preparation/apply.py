# SPDX-License-Identifier: Apache-2.0
"""Making the node what is wanted: plan, take the steps, plan again, until none is left.

Nothing is kept of what was done: what is the case, the kernel says. So whatever ends this, the
next one goes on, and one that finds everything as wanted writes nothing.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.modules import ModuleError
from sriov_node.preparation import effects, locks, marker
from sriov_node.preparation.facts import Facts
from sriov_node.preparation.plan import plan, plan_modules
from sriov_node.preparation.step import Plan, Refusal, Step
from sriov_node.preparation.wanted import Wanted, WantedNode

_ROUNDS = 4  # a PF without driver takes two, one with VFs whose driver comes late a third
_PAUSE = 1.0  # seconds between two looks whether devices in use are free
_UNPLANNED = (KernelError, ModuleError, marker.BusyError)


class Result(NamedTuple):
    """What came of it: the steps taken, what the kernel refused, and the plan of what is left."""

    taken: tuple[Step, ...]
    problems: tuple[str, ...]
    left: Plan


class Node(NamedTuple):
    """The node, as far as preparing it is concerned.

    `look` returns what is the case now. `records` has the locks. `tell` hears of each step before
    it is taken, and what was the case; `tell_waiting` of the devices in use that are waited for,
    whenever these change. `preparing` is the directory whose files tell which PFs are being
    prepared.
    """

    look: Callable[[], Facts]
    records: AttachmentRecords
    tell: Callable[[Step, Facts], object]
    tell_waiting: Callable[[Sequence[Refusal], Facts], object] = lambda refusals, facts: None
    preparing: str = marker.DIRECTORY


def apply(node: Node, wanted: WantedNode, patience: float = 0.0) -> Result:
    """Make the node what is wanted, one PF after the other: what fails spares the next.

    For up to `patience` seconds it waits until VFs in use are free; the agent meanwhile gives the
    other VFs of their PF to nobody.
    """
    run = _Run(node)
    run.load_modules(wanted)
    in_use = [function for function in wanted.functions if run.prepare(function).refusals]
    deadline = time.monotonic() + patience
    for function in in_use if patience else ():
        run.prepare(function, deadline)
    left = plan(wanted, node.look())
    left = left._replace(refusals=(*left.refusals, *run.busy))
    return Result(tuple(run.taken), tuple(run.problems), left)


class _Run:
    """One application: what it has done, and what went wrong."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.taken: list[Step] = []
        self.problems: list[str] = []
        self.busy: list[Refusal] = []

    def load_modules(self, wanted: WantedNode) -> None:
        """Load the modules that the file names."""
        facts = self._node.look()
        for step in plan_modules(wanted, facts):
            try:
                self._take(step, facts)
            except ModuleError as error:
                self.problems.append(str(error))

    def prepare(self, function: Wanted, deadline: float = 0.0) -> Plan:
        """Prepare one PF; return the plan of what is left.

        Until `deadline` (time.monotonic()) it waits for VFs that are in use.
        """
        for _ in range(_ROUNDS):
            left = self._plan(function)
            if not (left.steps or (left.refusals and time.monotonic() < deadline)):
                return left
            try:
                with marker.holding(self._node.preparing, left.pfs[0]):
                    self._wait_for_pods(function, deadline)
                    self._take_steps(function)
            except locks.BusyError as error:
                uses = (locks.BUSY,)
                self.busy.append(Refusal(left.pfs[0], None, error.address, "be prepared", uses))
                return left
            except _UNPLANNED as error:
                self.problems.append(f"{function.place}: {error}")
                return left
        left = self._plan(function)
        if left.steps:
            step = left.steps[0]
            self.problems.append(
                f"{function.place}: after {_ROUNDS} attempts {step.pf} still has to "
                f"{step.action.value} {step.value}: {step.reason}"
            )
        return left

    def _wait_for_pods(self, function: Wanted, deadline: float) -> None:
        told: Sequence[Refusal] = ()
        while time.monotonic() < deadline:
            facts = self._node.look()
            refusals = plan(WantedNode((function,)), facts).refusals
            if not refusals:
                return
            if refusals != told:
                self._node.tell_waiting(refusals, facts)
            told = refusals
            time.sleep(_PAUSE)

    def _take_steps(self, function: Wanted) -> None:
        """Take the steps of a plan that is made under the locks of the VFs it is about."""
        facts = self._node.look()
        found = plan(WantedNode((function,)), facts)
        if not found.steps:
            return
        pf = facts.pfs[found.pfs[0]]
        held = locks.needed(pf, found.steps)
        with locks.holding(self._node.records, held):
            found = self._plan(function)
            if locks.needed(pf, found.steps) <= held:  # otherwise the next round sees what changed
                for step in found.steps:
                    self._take(step, facts)

    def _plan(self, function: Wanted) -> Plan:
        return plan(WantedNode((function,)), self._node.look())

    def _take(self, step: Step, facts: Facts) -> None:
        self._node.tell(step, facts)
        effects.take(step)
        self.taken.append(step)

# SPDX-License-Identifier: Apache-2.0
"""Making the node what is wanted, one PF after the other.

Nothing is kept of what was done: what is the case, the kernel says. So whatever ends this, the
next one goes on, and one that finds everything as wanted writes nothing.
"""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sriov_cni.kernel.modules import ModuleError
from sriov_node.preparation import apart, effects
from sriov_node.preparation.facts import Facts
from sriov_node.preparation.pf import News, Part, Preparation, Site
from sriov_node.preparation.plan import plan, plan_modules
from sriov_node.preparation.step import Plan, Refusal, Step
from sriov_node.preparation.wanted import Wanted, WantedNode

PATIENCE = 120.0  # seconds that a step may take, and one more for each VF


class Result(NamedTuple):
    """What came of it: the steps taken, what the kernel refused, and the plan of what is left."""

    taken: tuple[Step, ...]
    problems: tuple[str, ...]
    left: Plan


class Listener(NamedTuple):
    """Who hears of each step before it is taken, and of the devices in use that are waited for."""

    taking: Callable[[Step, Facts], object]
    waiting: Callable[[Iterable[Refusal], Facts], object]


def apply(site: Site, listener: Listener, wanted: WantedNode, patience: float = 0.0) -> Result:
    """Make the node what is wanted: what fails with one PF spares the next.

    For up to `patience` seconds it waits until VFs in use are free. A PF whose driver does not
    return is left to the process that waits for it. Raises KernelError if the kernel does not tell
    what is the case.
    """
    run = _Run(site, listener)
    run.load_modules(wanted)
    in_use = [function for function in wanted.functions if run.prepare(function)]
    deadline = time.monotonic() + patience
    for function in in_use if patience else ():
        run.prepare(function, deadline)
    left = plan(wanted, site.look(""))
    left = left._replace(refusals=(*left.refusals, *run.busy))
    return Result(tuple(run.taken), tuple(run.problems), left)


class _Run:
    """One application: what it has done, and what went wrong."""

    def __init__(self, site: Site, listener: Listener) -> None:
        self._site = site
        self._listener = listener
        self.taken: list[Step] = []
        self.problems: list[str] = []
        self.busy: list[Refusal] = []

    def load_modules(self, wanted: WantedNode) -> None:
        """Load the modules that the file names."""
        facts = self._site.look("")
        for step in plan_modules(wanted, facts):
            self._listener.taking(step, facts)

            def task(tell: apart.Tell, step: Step = step) -> None:
                effects.take(step)

            try:
                apart.run(task, lambda said: None, PATIENCE)
            except (ModuleError, apart.LeftError) as error:
                self.problems.append(f"{step.words}: {error}")
            else:
                self.taken.append(step)

    def prepare(self, function: Wanted, deadline: float = 0.0) -> bool:
        """Prepare one PF, in a process of its own; tell whether something of it is in use."""
        steps: list[Step] = []
        waiting: tuple[Refusal, ...] = ()

        def hear(news: News) -> None:
            nonlocal waiting
            if news.step is not None:
                self._listener.taking(news.step, news.facts)
                steps.append(news.step)
            elif news.waiting != waiting:
                self._listener.waiting(news.waiting, news.facts)
                waiting = news.waiting

        def task(tell: apart.Tell) -> Part:
            return Preparation(self._site, function, tell).run(deadline)

        try:
            part = apart.run(task, hear, PATIENCE + (function.vfs or 0))
        except apart.LeftError as error:
            at = f"{steps[-1].pf}: {steps[-1].words}" if steps else "looking at the node"
            part = Part(tuple(steps[:-1]), Plan(), f"{at}: {error}")
        self.taken += part.taken
        if part.problem:
            self.problems.append(f"{function.place}: {part.problem}")
        self.busy += part.busy
        return bool(part.left.refusals)

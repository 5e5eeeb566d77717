# SPDX-License-Identifier: Apache-2.0
"""Whether the node is as its files want it; told when that changes, and mended if asked for.

Mending is `sriovctl node apply`, in a process of its own: creating VFs takes seconds, and whatever
happens to it, devices stay announced.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from sriov_cni.kernel.errors import KernelError
from sriov_node.inventory.device import Snapshot
from sriov_node.kubelet.holder import Holder
from sriov_node.preparation import configuration, marker, observation, witnesses
from sriov_node.preparation.plan import plan
from sriov_node.preparation.step import Plan
from sriov_node.preparation.wanted import Reconcile, WantedNode

_PAUSE = 10.0  # seconds between two attempts to mend, and two looks while a device is in use
_AGAIN = 30.0  # seconds after one that failed: kubelet knows a pod longer than its record is there
_MOST_SHOWN = 5  # parts of a line
_log = logging.getLogger(__name__)


class Drift:
    """The node compared with its files; `reached` is None as long as these want nothing.

    `preparing` is the directory whose files tell which PFs are being prepared, `options` are those
    of `sriovctl`, `--config-dir` among them. `poke` is called when it is time to look again.
    """

    def __init__(
        self, config_dir: str, preparing: str, options: Sequence[str], poke: Callable[[], None]
    ) -> None:
        self._config_dir = config_dir
        self._preparing = preparing
        self._options = options
        self._poke = poke
        self._wanted = WantedNode()
        self._said = ""
        self._tried: Plan | None = None
        self._tried_at = -_PAUSE
        self._mending: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.reached: bool | None = None

    def read(self) -> None:
        """Read the files anew; what is wrong in them is told, and whatever failed tried again."""
        before, self._wanted = self._wanted, configuration.read(self._config_dir)
        self._tried = None
        for fault in self._wanted.faults if self._wanted.faults != before.faults else ():
            _log.error("%s", fault)
        for warning in self._wanted.warnings if self._wanted.warnings != before.warnings else ():
            _log.warning("%s", warning)

    def look(self, snapshot: Snapshot, holders: Mapping[str, Holder]) -> None:
        """Compare, tell, and begin to mend."""
        if not self._wanted.functions:
            self.reached = False if self._wanted.faults else None
            return
        try:
            preparing = marker.held(self._preparing)
            facts = observation.facts(snapshot, witnesses.given_to(holders), preparing)
        except KernelError as error:
            _log.warning("whether the node is as its files want it is unknown: %s", error)
            return
        found = plan(self._wanted, facts)
        self.reached = found.is_reached and not self._wanted.faults
        self._say(found)
        if found.refusals:  # kubelet tells nobody when it has a device back
            self._look_again_in(_PAUSE)
        if found.steps and self._wanted.reconcile is Reconcile.FREE:
            self._mend(found)

    def _say(self, found: Plan) -> None:
        text = _in_words(found)
        if text != self._said:
            self._said = text
            if text:
                _log.warning("the node is not as its files want it: %s", text)
            else:
                _log.info("the node is as its files want it")

    def _look_again_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._poke)

    def _mend(self, found: Plan) -> None:
        """Start an application, once for each plan and not too often."""
        if self._mending is not None or found == self._tried:
            return
        pause = self._tried_at + _PAUSE - time.monotonic()
        if pause > 0:
            self._look_again_in(pause)
            return
        self._tried, self._tried_at = found, time.monotonic()
        self._mending = asyncio.create_task(self._apply())

    async def _apply(self) -> None:
        command = (*_sriovctl(), *self._options, "node", "apply")
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
            for line in output.decode(errors="replace").splitlines():
                _log.info("preparation: %s", line)
            if process.returncode:
                _log.warning("preparation ended with exit code %d", process.returncode)
                self._tried, self._tried_at = None, time.monotonic() + _AGAIN - _PAUSE
        except OSError as error:
            _log.error("%s cannot be executed: %s", command[0], error)
        finally:
            self._mending = None
            self._poke()


def _sriovctl() -> tuple[str, ...]:
    """Return how `sriovctl` is executed: the one beside this program."""
    if getattr(sys, "frozen", False):
        return (os.path.join(os.path.dirname(os.path.realpath(sys.executable)), "sriovctl"),)
    return (sys.executable, "-m", "sriovctl")


def _in_words(found: Plan) -> str:
    """Return what keeps the node from being as wanted, empty if nothing does."""
    parts = [
        *found.faults,
        *(f"{r.address} cannot {r.step}: it {'; it '.join(r.uses)}" for r in found.refusals),
        *(" ".join(filter(None, (s.pf, s.words))) for s in found.steps),
    ]
    if len(parts) > _MOST_SHOWN:
        parts[_MOST_SHOWN:] = [f"{len(parts) - _MOST_SHOWN} others"]
    return "; ".join(dict.fromkeys(parts))

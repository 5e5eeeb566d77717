# SPDX-License-Identifier: Apache-2.0
"""Preparing the node while it starts: PFs that are not there yet are prepared when they come.

Whoever waits for this (systemd, and with it kubelet) is told to go on when all PFs that are there
are prepared and none is missing, or after HOLD seconds: neither a card that is missing nor a driver
that hangs holds anybody up.
"""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Timer

import pyudev

from sriov_node.preparation.apply import Listener, Result, apply
from sriov_node.preparation.facts import Facts, Pf
from sriov_node.preparation.matching import match
from sriov_node.preparation.pf import Site
from sriov_node.preparation.wanted import Wanted, WantedNode

PATIENCE = 60.0  # seconds that a PF may take to come
HOLD = 20.0  # seconds for which others wait for it
_QUIET = 0.2  # seconds after an event: a card comes with many
_UDEV_RUNS = "/run/udev/control"
_log = logging.getLogger(__name__)


def prepare(
    site: Site, listener: Listener, wanted: WantedNode, let_go: Callable[[], object]
) -> Result:
    """Prepare the node; return what came of it in the end.

    `let_go` is called when others need not wait any more, once at least.
    """
    began = time.monotonic()
    calm = site._replace(look=lambda pf: settled(site.look(pf)))
    timer = Timer(HOLD, let_go)
    timer.daemon = True
    timer.start()
    with Uevents() as uevents:  # before the first look, so that nothing that comes is missed
        result = apply(calm, listener, wanted)
        absent = _absent(wanted, calm.look(""))
        if absent:
            those = ", ".join(f"{function.place} ({function.match})" for function in absent)
            _log.warning("waiting up to %d s for PFs that are not there: %s", PATIENCE, those)
        while absent and (left := began + PATIENCE - time.monotonic()) > 0:
            uevents.wait(left)
            still = _absent(wanted, calm.look(""))
            if len(still) < len(absent):
                result = apply(calm, listener, wanted)
            absent = still
    timer.cancel()
    timer.join()  # it may be at it
    let_go()
    return result


def _absent(wanted: WantedNode, facts: Facts) -> tuple[Wanted, ...]:
    return match(wanted.functions, facts.pfs.values()).absent


def settled(facts: Facts) -> Facts:
    """Return facts in which PFs whose names udev may still change have no name."""
    if not os.path.exists(_UDEV_RUNS):
        return facts
    context = pyudev.Context()
    pfs = {address: _settled(context, pf) for address, pf in facts.pfs.items()}
    return facts._replace(pfs=pfs)


def _settled(context: pyudev.Context, pf: Pf) -> Pf:
    for name in pf.names[:1]:
        with suppress(pyudev.DeviceNotFoundError):
            if pyudev.Devices.from_name(context, "net", name).is_initialized:
                return pf
    return pf._replace(names=())


class Uevents:
    """The kernel's and udev's events about PCI and network devices; a context manager."""

    def __enter__(self) -> "Uevents":
        self._monitor: pyudev.Monitor | None = None
        try:
            source = "udev" if os.path.exists(_UDEV_RUNS) else "kernel"
            monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source=source)
            for subsystem in ("pci", "net"):
                monitor.filter_by(subsystem)
            monitor.start()
            self._monitor = monitor
        except (OSError, ImportError) as error:
            _log.error("no events from the kernel, so PFs are looked for every second: %s", error)
        return self

    def __exit__(self, *exception: object) -> None:
        self._monitor = None  # its last reference closes it

    def wait(self, seconds: float) -> None:
        """Wait for an event and the end of those that come with it, but not longer than that."""
        end = time.monotonic() + max(seconds, 0.0)
        if self._monitor is None:
            time.sleep(min(1.0, max(seconds, 0.0)))
            return
        pause = end - time.monotonic()
        while pause > 0 and self._take(pause):
            pause = min(_QUIET, end - time.monotonic())

    def _take(self, seconds: float) -> bool:
        """Wait for one event; tell whether there was one."""
        try:
            return self._monitor is not None and self._monitor.poll(seconds) is not None
        except OSError:  # events were lost, which tells as much as one
            return True

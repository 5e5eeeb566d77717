# SPDX-License-Identifier: Apache-2.0
"""What the kernel counts for the devices of a view: by PFs for their VFs, and in pods.

What cannot be read is left out, and is no error: pods go while they are looked at.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import NamedTuple

from sriov_cni.device.host_use import USERSPACE_DRIVERS
from sriov_cni.kernel import bus, netns, statistics
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.statistics import Counters, Pf
from sriov_node.inventory.device import Device, State
from sriov_node.metrics.view import View, in_state, physical_functions

_FRESH = 1.0  # seconds
_PATIENCE = 5.0  # seconds to wait for another thread's reading: a driver may keep the kernel busy
_log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """What was counted: `pfs` and `most_vfs` are by a PF's ID, `pods` is by device ID.

    `counting` are the IDs of the PFs whose drivers count for VFs. `most_vfs` is what a card can
    have.
    """

    pfs: Mapping[str, Pf] = {}
    counting: frozenset[str] = frozenset()
    most_vfs: Mapping[str, int] = {}
    pods: Mapping[str, Counters] = {}


class Reader:
    """Reads counters, at most once a second; for any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counts | None = None
        self._at = 0.0

    def read(self, view: View) -> Counts:
        """Return the counters of a view's devices.

        Raises TimeoutError if another thread has been reading for long.
        """
        if not self._lock.acquire(timeout=_PATIENCE):
            raise TimeoutError("the kernel does not answer")
        try:
            if self._counts is None or self._clock() - self._at >= _FRESH:
                # the host first: should a thread not come home from a pod, it ends with its request
                pfs = _pfs(view)
                counting = (self._counts or Counts()).counting & pfs.keys()
                counting |= {pf_id for pf_id, pf in pfs.items() if _counts(pf)}
                self._counts = Counts(pfs, counting, _most_vfs(view), _pods(view))
                self._at = self._clock()
            return self._counts
        finally:
            self._lock.release()


def _counts(pf: Pf) -> bool:
    """Tell whether a PF's driver counts for VFs; one that does not shows 0 for all of them."""
    return any(any(vf.counters) for vf in pf.vfs.values())


def _pfs(view: View) -> dict[str, Pf]:
    found: dict[str, Pf] = {}
    try:
        with closing(Socket()) as sock:
            for pf in physical_functions(view):
                if pf.netdevs:
                    _add_pf(sock, pf, found)
    except KernelError as error:
        _log.warning("PFs are left out of the metrics: %s", error)
    return found


def _add_pf(sock: Socket, pf: Device, found: dict[str, Pf]) -> None:
    try:
        found[pf.id] = statistics.of_vfs(sock, pf.netdevs[0])
    except KernelError as error:
        _log.debug("PF %s is left out of the metrics: %s", pf.id, error)


def _most_vfs(view: View) -> dict[str, int]:
    read = ((pf.id, bus.total_vfs(pf.id)) for pf in physical_functions(view))
    return {pf: most for pf, most in read if most is not None}


def _pods(view: View) -> dict[str, Counters]:
    found: dict[str, Counters] = {}
    for device in in_state(view, State.ATTACHED):
        if device.use.netns and device.use.interface and device.driver not in USERSPACE_DRIVERS:
            try:
                with netns.pod_at(device.use.netns) as pod:
                    found[device.id] = statistics.of_device(pod.socket, device.use.interface)
            except (KernelError, netns.NotANamespaceError) as error:
                _log.debug("%s is left out of the metrics: %s", device.id, error)
    return found

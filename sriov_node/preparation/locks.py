# SPDX-License-Identifier: Apache-2.0
"""The locks of a PF's VFs: those that the CNI plugin takes, so that nobody attaches one meanwhile.

Those of VFs that do not exist yet as well: an ADD could find one before it has its driver.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.kernel import functions
from sriov_node.preparation.facts import Pf
from sriov_node.preparation.step import Action, Step

PATIENCE = 20.0  # seconds, for as long an ADD waits for a lock, too
BUSY = "is on its way into a pod or back"
_OF_ALL = (Action.COUNT, Action.ESWITCH)


class BusyError(Exception):
    """An ADD or a DEL keeps a VF's lock; `address` is the VF's."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} {BUSY}")
        self.address = address


def needed(pf: Pf, steps: Iterable[Step]) -> frozenset[str]:
    """Return the addresses of the VFs that steps change; raise KernelError."""
    steps = tuple(steps)
    if any(step.action in _OF_ALL for step in steps):
        return frozenset((*(vf.address for vf in pf.vfs), *functions.possible_vfs(pf.address)))
    changed = {step.vf for step in steps}
    return frozenset(vf.address for vf in pf.vfs if vf.number in changed)


@contextmanager
def holding(records: AttachmentRecords, addresses: Iterable[str]) -> Iterator[None]:
    """Hold the locks of VFs; raise BusyError if somebody keeps one for too long."""
    deadline = time.monotonic() + PATIENCE
    taken: list[str] = []
    try:
        for address in sorted(addresses):
            if not records.try_lock(address, max(deadline - time.monotonic(), 0.0)):
                raise BusyError(address)
            taken.append(address)
        yield
    finally:
        for address in taken:
            records.unlock(address)

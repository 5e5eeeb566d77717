# SPDX-License-Identifier: Apache-2.0
"""Which attachment has a device, by the plugin's records and by those that the Go plugin left.

The files are read as the plugin's own selection reads them (attachment/selection.py), so that the
agent never offers what an ADD would refuse. They are only looked at, never changed.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from sriov_cni.attachment import goplugin
from sriov_cni.attachment.record import FileName
from sriov_cni.attachment.records import AttachmentRecords, UnreadableError
from sriov_cni.cni.errors import CniError
from sriov_cni.kernel import netns
from sriov_cni.kernel.errors import KernelError
from sriov_node.inventory.device import State, Use

PATIENCE = 30.0  # seconds that a device may take on its way into a pod or back
_log = logging.getLogger(__name__)


class Claim(NamedTuple):
    """An attachment's claim on a device.

    `netns` is the path of the pod's network namespace, empty if unknown. `for_userspace`: the
    device had no network device when it was given to the pod. `readable` is False of a record of
    which only the file's name tells something; no ADD gets past that.
    """

    reason: str
    container: str = ""
    interface: str = ""
    network: str = ""
    netns: str = ""
    for_userspace: bool = False
    readable: bool = True
    by_go_plugin: bool = False


class Ownership:
    """The claims of this node, and how long devices have been on the host in spite of one."""

    def __init__(self, data_dir: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._records: AttachmentRecords | None = None
        self._opened: tuple[int, int] | None = None  # device and inode of the directory
        self._read: dict[FileName, tuple[tuple[int, int], Claim | None]] = {}
        self._claims: dict[str, Claim] = {}
        self._since: dict[str, float] = {}  # when a claimed device was first seen on the host
        self._lost: frozenset[str] = frozenset()
        self._complaint = ""

    def read(self) -> None:
        """Read all claims anew; where that fails, those of the last time stay."""
        try:
            self._claims = self._read_all()
        except CniError as error:
            if str(error) != self._complaint:
                _log.error("attachments are unknown: %s; going on with those last seen", error)
            self._complaint = str(error)
        else:
            self._complaint = ""
        self._since = {id_: at for id_, at in self._since.items() if id_ in self._claims}
        self._lost &= self._claims.keys()

    def use_of(self, address: str, *, has_netdev: bool, userspace: bool) -> Use | None:
        """Return who has a device by its claim, None if no claim has it.

        `has_netdev`: one of its network devices is on the host; `userspace`: its driver gives none.
        """
        claim = self._claims.get(address)
        if claim is None:
            return None
        away = not has_netdev
        if claim.by_go_plugin:
            lives = _exists(claim.netns)
            if has_netdev if lives else not (has_netdev or userspace):
                self._since.pop(address, None)
                return None
            away = lives
        elif claim.for_userspace:
            away = away and _exists(claim.netns)
        state = State.ATTACHED if away else self._state_on_host(address, claim)
        if away:
            self._since.pop(address, None)
        named = (claim.container, claim.interface, claim.network, claim.netns)
        return Use(state, claim.reason, *named)

    def overdue(self) -> bool:
        """Tell whether a device has become lost since it was last asked for."""
        limit = self._clock() - PATIENCE
        return any(at <= limit and address not in self._lost for address, at in self._since.items())

    def _state_on_host(self, address: str, claim: Claim) -> State:
        if not claim.readable:
            return State.RETURNING
        since = self._since.setdefault(address, self._clock())
        if self._clock() - since < PATIENCE or self._is_locked(address):
            self._lost -= {address}
            return State.RETURNING
        self._lost |= {address}
        return State.LOST

    def _is_locked(self, address: str) -> bool:
        try:
            return self._records is not None and self._records.is_locked(address)
        except CniError:
            return True

    def _read_all(self) -> dict[str, Claim]:
        records = self._current_records()
        if records is None:
            self._read = {}
            return {}
        versions = records.versions()
        claims = {a: _go_claim(goplugin.pod_of(records, a)) for a in goplugin.claimed(records)}
        found = {address: claim for address, claim in claims.items() if claim.netns}
        self._read = {name: was for name, was in self._read.items() if versions.get(name) == was[0]}
        for name, version in versions.items():
            if name.is_claim and name not in self._read:
                self._read[name] = version, _claim(records, name)
        found |= {name.claim: claim for name, (_, claim) in self._read.items() if claim is not None}
        return found

    def _current_records(self) -> AttachmentRecords | None:
        try:
            status = os.stat(self._data_dir)
        except OSError:
            status = None
        there = (status.st_dev, status.st_ino) if status is not None else None
        if there is None or there != self._opened:
            self._records = AttachmentRecords.existing(self._data_dir)
            self._opened = there
        return self._records


def _claim(records: AttachmentRecords, name: FileName) -> Claim | None:
    """Return the claim that a record makes, None if none: it is of an earlier boot, or gone."""
    owner = name.owner
    try:
        record = records.read(name)
    except UnreadableError as error:
        return Claim(
            str(error), owner.container_id, owner.ifname, error.network or "", readable=False
        )
    if record is None or record.boot != records.boot:
        return None
    return Claim(
        f"belongs to {owner} until its DEL",
        owner.container_id,
        owner.ifname,
        record.network,
        record.netns,
        for_userspace=record.before.device is None,
    )


def _go_claim(pod: str) -> Claim:
    return Claim("was given to a pod by another SR-IOV plugin", netns=pod, by_go_plugin=True)


def _exists(path: str) -> bool:
    """Tell whether a pod's namespace is there; also where that cannot be found out."""
    try:
        return netns.exists(path)
    except KernelError:
        return True

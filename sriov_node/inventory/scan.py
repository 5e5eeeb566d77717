# SPDX-License-Identifier: Apache-2.0
"""The scan: all network devices of this node and who has them, as one picture of a moment."""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from types import MappingProxyType
from typing import NamedTuple

from sriov_cni.device import host_use
from sriov_cni.device.inventory import Condition, Functions
from sriov_cni.kernel import bus, links, sysfs
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.netlink import Socket
from sriov_node.inventory import host
from sriov_node.inventory.device import ETHER, INFINIBAND, Device, Snapshot, State, Use
from sriov_node.inventory.last_seen import LastSeen, Sight
from sriov_node.inventory.ownership import Ownership

_LINK_TYPES = {links.ETHERNET: ETHER, links.INFINIBAND: INFINIBAND}
_AWAY = (State.ATTACHED, State.ELSEWHERE)
_log = logging.getLogger(__name__)


class _Uplinks(NamedTuple):
    """A PF's own network devices, and the names that they go by, alternative ones at the end.

    `all_netdevs` are those that the names were chosen from, representors among them.
    """

    all_netdevs: tuple[str, ...] = ()
    netdevs: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    carrier: bool | None = None


class Inventory:
    """The devices of this node; remembers between scans what need not be read again.

    `data_dir` is the plugin's state directory, `clock` tells the time in seconds. `keeps` is False
    for whoever only looks: the agent's file of what was last seen stays as it is.
    """

    def __init__(
        self,
        data_dir: str = "/var/lib/cni/sriov",
        clock: Callable[[], float] = time.monotonic,
        *,
        keeps: bool = True,
    ) -> None:
        self._functions = Functions()
        self._ownership = Ownership(data_dir, clock)
        self._last_seen = LastSeen(data_dir)
        self._keeps = keeps
        self._uplinks: dict[str, _Uplinks] = {}  # by PF
        self._netdevs: frozenset[str] = frozenset()
        self._uses: dict[str, str] = {}  # why the host uses network devices, by name
        self._addressed: dict[str, str] = {}

    def scan(self) -> Snapshot:
        """Return all devices as they are now.

        A device that goes away meanwhile, or of which sysfs says nonsense, is left out, or has None
        in the place of what is not known. Raises KernelError if sysfs itself cannot be read.
        """
        conditions, others = self._functions.look()
        self._ownership.read()
        pfs = [condition for condition in conditions.values() if condition.function.is_pf]
        self._ask_kernel(pfs, conditions.values(), others)
        devices = {
            id_: self._device(condition, conditions) for id_, condition in conditions.items()
        }
        if self._keeps:
            self._remember(devices)
        return Snapshot(MappingProxyType(devices), tuple(pf.function.id for pf in pfs))

    def light(self) -> bool:
        """Tell whether something has changed of which no event tells for certain.

        Devices, drivers, addresses, and claims whose time has run out: a few listings.
        """
        try:
            with closing(Socket()) as sock:
                return (
                    self._ownership.overdue()
                    or self._functions.changed()
                    or host.addressed(sock, self._netdevs) != self._addressed
                )
        except KernelError as error:
            _log.warning("devices are read anew: %s", error)
            return True

    def _ask_kernel(
        self, pfs: Iterable[Condition], conditions: Iterable[Condition], others: Iterable[str]
    ) -> None:
        """Ask by netlink; where that fails, the answers of the last time stay."""
        try:
            with closing(Socket()) as sock:
                self._uplinks = {
                    pf.function.id: _uplinks(sock, pf, self._uplinks.get(pf.function.id))
                    for pf in pfs
                }
                names = (name for condition in conditions for name in self._own(condition))
                self._netdevs = frozenset(names)
                self._addressed = host.addressed(sock, self._netdevs)
                self._uses = host.uses(sock, self._netdevs, others, self._addressed)
        except KernelError as error:
            _log.warning(
                "the host's use of devices is unknown, so the last known counts: %s", error
            )

    def _own(self, condition: Condition) -> tuple[str, ...]:
        """Return a function's network devices, of a PF without representors."""
        uplinks = self._uplinks.get(condition.function.id)
        return uplinks.netdevs if uplinks is not None else condition.netdevs

    def _device(self, now: Condition, conditions: dict[str, Condition]) -> Device:
        function, netdevs = now.function, self._own(now)
        use = self._use(now, netdevs)
        seen = self._last_seen.get(function.id) if use.state in _AWAY else None
        pf = conditions.get(function.pf or "")
        driver, rdma = now.driver, now.rdma
        link_type = _link_type(now)
        if seen is not None:
            driver = seen.driver if use.state is State.ATTACHED else driver
            link_type, rdma = link_type or seen.link_type, rdma or seen.rdma
        uplinks = self._uplinks.get(function.pf or function.id, _Uplinks())
        return Device(
            id=function.id,
            address=function.address,
            vendor=function.vendor,
            model=function.model,
            class_code=function.class_code,
            driver=driver,
            pf=function.pf,
            pf_names=uplinks.names,
            number=function.number,
            numa_node=function.numa_node,
            iommu_group=now.iommu_group,
            acpi_index=function.acpi_index,
            aux_type=function.aux_type,
            netdevs=netdevs,
            link_type=link_type or (_link_type(pf) if pf is not None else None),
            rdma=rdma,
            enabled_vfs=now.enabled_vfs,
            carrier=uplinks.carrier,
            use=use,
        )

    def _use(self, now: Condition, netdevs: tuple[str, ...]) -> Use:
        userspace = now.driver in host_use.USERSPACE_DRIVERS
        claimed = self._ownership.use_of(
            now.function.id, has_netdev=bool(netdevs), userspace=userspace
        )
        if claimed is not None:
            return claimed
        reason = next((self._uses[name] for name in netdevs if name in self._uses), None)
        if reason is not None:
            return Use(State.HOST, reason)
        if now.driver is not None and not userspace and not netdevs:
            kind = bus.PCI if now.function.aux_type is None else bus.AUXILIARY
            if bus.has_empty_net(kind, now.function.id):
                return Use(State.ELSEWHERE, host_use.elsewhere(now.driver))
        return Use(State.FREE)

    def _remember(self, devices: dict[str, Device]) -> None:
        """Keep the sights of devices that are on the host, and of those away what was kept."""
        sights: dict[str, Sight] = {}
        for id_, device in devices.items():
            if device.use.state in _AWAY:
                seen = self._last_seen.get(id_)
                if seen is not None:
                    sights[id_] = seen
            elif device.netdevs or device.rdma:
                sights[id_] = Sight(device.driver, device.link_type, device.rdma)
        self._last_seen.keep(sights)


def _uplinks(sock: Socket, pf: Condition, last: _Uplinks | None) -> _Uplinks:
    """Return a PF's own devices; which those are is only found out if it has others than before."""
    if last is not None and last.all_netdevs == pf.netdevs:
        netdevs = last.netdevs
    else:
        netdevs = _uplink_netdevs(pf)
    found = [link for link in (links.find(sock, name) for name in netdevs) if link is not None]
    alternatives = (name for link in found for name in link.alternative_names)
    carrier = any(link.carrier for link in found) if found else None
    return _Uplinks(pf.netdevs, netdevs, (*netdevs, *alternatives), carrier)


def _uplink_netdevs(pf: Condition) -> tuple[str, ...]:
    try:
        return tuple(sysfs.uplink_names(pf.function.id))
    except KernelError:
        return pf.netdevs


def _link_type(now: Condition) -> str | None:
    return None if now.link_kind is None else _LINK_TYPES.get(now.link_kind, str(now.link_kind))

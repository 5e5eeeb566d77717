# SPDX-License-Identifier: Apache-2.0
"""Which VF an attachment gets: the requested one, or the first that is free."""

from typing import NamedTuple

from sriov_cni.cni import errors
from sriov_cni.cni.errors import CniError
from sriov_cni.domain.record import Registry
from sriov_cni.domain.vf import find_on_host
from sriov_cni.kernel import routing, sysfs
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import Socket

_PATIENCE = 20.0  # seconds; runtimes give an operation minutes


class Selected(NamedTuple):
    """A free VF, locked: its index under the PF, its PCI address and its device on the host."""

    vf: int
    address: str
    link: Link


def select(registry: Registry, host: Socket, pf: str, wanted: int | None) -> Selected:
    """Return the wanted VF of a PF, or the first free one if None, and hold its lock.

    Raises CniError: 101 where PF or VF do not exist, 102 where the host itself uses the VF, 11
    where it is another attachment's and may become free.
    """
    count = _count_vfs(pf)
    if wanted is None:
        return _first_free(registry, host, pf, count)
    if wanted >= count:
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{pf} has no VF {wanted}",
            f"{count} VFs are enabled on {pf}: ask for one from 0 to {count - 1}",
        )
    address = _address(pf, wanted)
    lock(registry, address, f"VF {wanted} of {pf}")
    holder = registry.holder(address)
    if holder is not None:
        raise CniError(
            errors.TRY_AGAIN_LATER,
            f"VF {wanted} of {pf} is in use",
            f"{address} belongs to interface {holder.attachment.ifname} of container "
            f"{holder.attachment.container_id} until its DEL",
        )
    link = find_on_host(host, address)
    reason = _no_device(address) if link is None else _host_use(host, link)
    if link is None or reason:
        raise CniError(
            errors.DEVICE_IN_USE, f"VF {wanted} of {pf} is not free", f"{address} {reason}"
        )
    return Selected(wanted, address, link)


def lock(registry: Registry, address: str, name: str) -> None:
    """Take a VF's lock; raise CniError (11) if another operation keeps it for too long."""
    if not registry.lock(address, _PATIENCE):
        raise CniError(
            errors.TRY_AGAIN_LATER,
            f"{name} is busy",
            f"another operation has held its lock for {_PATIENCE:.0f} s",
        )


def _count_vfs(pf: str) -> int:
    if not sysfs.exists(pf):
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"PF {pf} does not exist",
            f"this node has no network device {pf}: correct master",
        )
    if sysfs.total_vfs(pf) is None:
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{pf} has no SR-IOV",
            f"{pf} is no physical function of an SR-IOV card: correct master, or enable SR-IOV in "
            "firmware and driver",
        )
    count = sysfs.num_vfs(pf)
    if count == 0:
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{pf} has no VFs",
            f"enable some: echo 4 > /sys/class/net/{pf}/device/sriov_numvfs",
        )
    return count


def _address(pf: str, vf: int) -> str:
    address = sysfs.vf_address(pf, vf)
    if address is None:
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{pf} has no VF {vf}",
            f"/sys/class/net/{pf}/device/virtfn{vf} is missing",
        )
    return address


def _first_free(registry: Registry, host: Socket, pf: str, count: int) -> Selected:
    claimed = registry.claimed_addresses()
    for vf in range(count):
        address = _address(pf, vf)
        if address in claimed and registry.holder(address) is not None:
            continue
        if not registry.lock(address, patience=0):
            continue
        # The lock is held: what is true now stays true, unless it was claimed in between.
        if registry.holder(address) is None:
            link = find_on_host(host, address)
            if link is not None and not _host_use(host, link):
                return Selected(vf, address, link)
        registry.unlock(address)
    raise CniError(
        errors.TRY_AGAIN_LATER,
        f"no free VF on {pf}",
        f"all {count} VFs are in use, by pods, by the host or by a driver without network device",
    )


def _no_device(address: str) -> str:
    driver = sysfs.driver(address)
    if driver is None:
        return "is bound to no driver: bind it to its network driver"
    return f"has no network device on the host: it is in another namespace, or {driver} gives none"


def _host_use(host: Socket, link: Link) -> str:
    """Say what the host itself uses a VF for, empty if for nothing."""
    if link.master is not None:
        return f"({link.name}) belongs to a bond, bridge or team of the host"
    for address in routing.addresses(host, link.ifindex):
        if address.scope == routing.SCOPE_GLOBAL:
            return f"({link.name}) carries the host's address {address.address}"
    return ""

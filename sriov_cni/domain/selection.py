# SPDX-License-Identifier: Apache-2.0
"""Which VF an attachment gets: the requested one, or the first that is free."""

from typing import NamedTuple

from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain.record import Record, Registry
from sriov_cni.domain.teardown import take_down
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


def select(registry: Registry, host: Socket, call: Call, pf: str, wanted: int | None) -> Selected:
    """Return the wanted VF of a PF, or the first free one if None, and hold its lock.

    A VF that is back on the host although a record claims it was lost by its attachment: the ADD
    was killed, or the pod's namespace died without a DEL. That attachment is taken down first.

    Raises CniError: 101 where PF or VF do not exist, 102 where the host itself uses the VF, 11
    where it is another attachment's and may become free.
    """
    count = _count_vfs(pf)
    if wanted is None:
        return _first_free(registry, host, call, pf, count)
    if wanted >= count:
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{pf} has no VF {wanted}",
            f"{count} VFs are enabled on {pf}: ask for one from 0 to {count - 1}",
        )
    address = _address(pf, wanted)
    lock(registry, address, f"VF {wanted} of {pf}")
    link, reason = _claimable(registry, host, call, address)
    if link is None:
        raise CniError(reason.code, f"VF {wanted} of {pf} is not free", f"{address} {reason.text}")
    return Selected(wanted, address, link)


def lock(registry: Registry, address: str, name: str) -> None:
    """Take a VF's lock; raise CniError (11) if another operation keeps it for too long."""
    if not registry.lock(address, _PATIENCE):
        raise CniError(
            errors.TRY_AGAIN_LATER,
            f"{name} is busy",
            f"another operation has held its lock for {_PATIENCE:.0f} s",
        )


class _Obstacle(NamedTuple):
    """Why a VF cannot be had, to follow its address in a sentence."""

    code: int
    text: str


def _first_free(registry: Registry, host: Socket, call: Call, pf: str, count: int) -> Selected:
    claimed = registry.claimed_addresses()
    for vf in range(count):
        address = _address(pf, vf)
        if address in claimed and not sysfs.netdev_names(address):
            continue  # in its pod
        if not registry.lock(address, patience=0):
            continue  # being attached or given back
        link, _ = _claimable(registry, host, call, address)
        if link is not None:
            return Selected(vf, address, link)
        registry.unlock(address)
    raise CniError(
        errors.TRY_AGAIN_LATER,
        f"no free VF on {pf}",
        f"all {count} VFs are in use, by pods, by the host or by a driver without network device",
    )


def _claimable(
    registry: Registry, host: Socket, call: Call, address: str
) -> tuple[Link | None, _Obstacle]:
    """Return the device of a VF whose lock is held, or None and what is in the way."""
    holder = registry.holder(address)
    link = find_on_host(host, address)
    if holder is not None and link is not None:
        if problems := take_down(registry, host, holder, call):
            return None, _Obstacle(errors.TRY_AGAIN_LATER, _lost(holder, problems))
        holder, link = None, find_on_host(host, address)
    if holder is not None:
        return None, _Obstacle(errors.TRY_AGAIN_LATER, f"belongs to {_name(holder)} until its DEL")
    if link is None:
        return None, _Obstacle(errors.DEVICE_IN_USE, _no_device(address))
    use = _host_use(host, link)
    return (None if use else link), _Obstacle(errors.DEVICE_IN_USE, use)


def _name(record: Record) -> str:
    return f"interface {record.attachment.ifname} of container {record.attachment.container_id}"


def _lost(holder: Record, problems: list[str]) -> str:
    return f"was lost by {_name(holder)} and could not be restored: {'; '.join(problems)}"


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

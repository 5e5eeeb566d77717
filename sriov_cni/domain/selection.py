# SPDX-License-Identifier: Apache-2.0
"""Claiming a function for an attachment: the requested one, or the first VF that is free."""

from typing import NamedTuple

from sriov_cni.cni import errors, log
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain.configuration import Configuration
from sriov_cni.domain.function import Function, count_vfs, requested, vfs_of
from sriov_cni.domain.record import Record
from sriov_cni.domain.registry import Registry, UnreadableError
from sriov_cni.domain.restoration import detach_xdp, restore
from sriov_cni.domain.teardown import lock, restore_noted, take_down
from sriov_cni.domain.vf import find_on_host
from sriov_cni.kernel import netns, routing, sysfs
from sriov_cni.kernel.links import ETHERNET, INFINIBAND, Link
from sriov_cni.kernel.netlink import Socket

_EXAMPLES = 3
_USERSPACE_DRIVERS = ("vfio-pci", "uio_pci_generic", "igb_uio")


class Selected(NamedTuple):
    """A free function, locked, and its device on the host; None: its driver serves user space."""

    function: Function
    link: Link | None


class _Obstacle(NamedTuple):
    """Why a function cannot be had; `text` follows its address in a sentence."""

    code: int
    text: str


def select(registry: Registry, host: Socket, call: Call, wanted: Configuration) -> Selected:
    """Return the wanted function, or the first free VF of the master, and hold its lock.

    A function that is back on the host although a record claims it was lost by its attachment: the
    ADD was killed, or the pod's namespace died without a DEL. That is taken down first.

    Raises CniError: 101 where PF or VF do not exist, 102 where the host itself uses the function,
    11 where it is another attachment's and may become free, 7 for what no configuration can have.
    """
    function = requested(wanted)
    if function is None:
        return _first_free(registry, host, call, wanted.master)
    lock(registry, function)
    selected = _claim(registry, host, call, function)
    if isinstance(selected, _Obstacle):
        text = f"{function.address} {selected.text}"
        raise CniError(selected.code, f"{function} is not free", text)
    return selected


def _first_free(registry: Registry, host: Socket, call: Call, pf: str) -> Selected:
    obstacles: list[str] = []
    for function in vfs_of(pf):
        if not sysfs.netdev_names(function.address):
            continue  # in its pod, or another driver's
        if not registry.lock(function.address, patience=0):
            continue  # being attached or given back
        selected = _claim(registry, host, call, function)
        if isinstance(selected, Selected):
            return selected
        registry.unlock(function.address)
        obstacles.append(f"{function.address} {selected.text}")
    raise CniError(
        errors.TRY_AGAIN_LATER,
        f"no free VF on {pf}",
        f"all {count_vfs(pf)} VFs are in use, by pods, by the host or by a driver without network "
        f"device{_examples(obstacles)}",
    )


def _examples(obstacles: list[str]) -> str:
    """Return the first few of what may be hundreds, to end a sentence with."""
    return f": {'; '.join(obstacles[:_EXAMPLES])}" if obstacles else ""


def _claim(
    registry: Registry, host: Socket, call: Call, function: Function
) -> Selected | _Obstacle:
    """Return a function whose lock is held, or what is in its way."""
    try:
        holder = registry.holder(function.address)
    except UnreadableError as error:
        return _Obstacle(error.code, f"has a record: {error}")
    link = find_on_host(host, function.address)
    if holder is not None and (link is not None or _pod_is_gone(holder)):
        problems = [str(problem) for problem in take_down(registry, host, holder, call).problems]
        if registry.claims(holder):
            return _Obstacle(errors.TRY_AGAIN_LATER, _lost(holder, problems))
        _tell_lost(function, holder)
        holder, link = None, find_on_host(host, function.address)
    if holder is not None:
        return _Obstacle(errors.TRY_AGAIN_LATER, f"belongs to {_name(holder)} until its DEL")
    pod = registry.predecessors_pod(function.address)
    pod_lives = pod != "" and netns.exists(pod)
    if link is None and pod_lives:
        return _Obstacle(errors.TRY_AGAIN_LATER, "was given to a pod by another SR-IOV plugin")
    obstacle = (
        _host_use(registry, host, function, link) if link else _fault_without_device(function)
    )
    if obstacle is not None:
        return obstacle
    if pod and not pod_lives:
        return _restored(registry, host, function, link)
    return _cleared(registry, host, function, link)


def _cleared(
    registry: Registry, host: Socket, function: Function, link: Link | None
) -> Selected | _Obstacle:
    """Clear a free function of what an earlier pod has left and nobody could take away then."""
    try:
        if restore_noted(registry, host, link, function.address):
            link = find_on_host(host, function.address)
    except CniError as error:
        return _Obstacle(errors.TRY_AGAIN_LATER, f"is not as it was yet: {error}")
    if link is not None and (held := detach_xdp(host, link)):
        return _Obstacle(errors.DEVICE_IN_USE, f"({link.name}) runs an XDP program: {held[0]}")
    return Selected(function, link)


def _restored(
    registry: Registry, host: Socket, function: Function, link: Link | None
) -> Selected | _Obstacle:
    """Restore a function whose pod, attached by the Go plugin, died without a DEL."""
    from sriov_cni.domain import predecessor  # not on the usual way

    holder = predecessor.lost(registry, host, function.address)
    if holder is not None:
        problems, refused = restore(host, holder, link)
        if problems:
            return _Obstacle(errors.TRY_AGAIN_LATER, _lost(holder, problems))
        if refused:
            registry.note_unrestored(holder, refused)
        _tell_lost(function, holder)
    registry.end_predecessors_claim(function.address)
    return _cleared(registry, host, function, find_on_host(host, function.address))


def _pod_is_gone(holder: Record) -> bool:
    """Tell whether a function that never left the host, for user space, has lost its pod."""
    return holder.before.device is None and not netns.exists(holder.attachment.netns)


def _name(record: Record) -> str:
    return f"interface {record.attachment.ifname} of container {record.attachment.container_id}"


def _tell_lost(function: Function, holder: Record) -> None:
    log.write("warning", f"{function} was lost by {_name(holder)} without a DEL: restored it")


def _lost(holder: Record, problems: list[str]) -> str:
    return f"was lost by {_name(holder)} and could not be restored: {'; '.join(problems)}"


def _fault_without_device(function: Function) -> _Obstacle | None:
    """Say why a function without network device on the host can be none for user space."""
    driver = sysfs.driver(function.address)
    if driver in _USERSPACE_DRIVERS:
        return None
    if driver is None:
        return _Obstacle(
            errors.DEVICE_IN_USE,
            "is bound to no driver: bind it to its network driver, or to vfio-pci for user space",
        )
    return _Obstacle(
        errors.DEVICE_IN_USE,
        f"has no network device on the host: it is in another namespace, or {driver} gives none",
    )


def _host_use(registry: Registry, host: Socket, function: Function, link: Link) -> _Obstacle | None:
    """Say what a device is used for on the host, or why no pod can use it."""
    if link.kind == INFINIBAND:
        return _Obstacle(
            errors.INVALID_CONFIGURATION,
            f"({link.name}) is an InfiniBand device: this plugin serves Ethernet, use ib-sriov-cni",
        )
    if link.kind != ETHERNET:
        return _Obstacle(
            errors.INVALID_CONFIGURATION, f"({link.name}) is no Ethernet device (type {link.kind})"
        )
    if link.master is not None:
        return _Obstacle(
            errors.DEVICE_IN_USE, f"({link.name}) belongs to a bond, bridge or team of the host"
        )
    if uppers := sysfs.upper_names(link.name):
        verb = "sits" if len(uppers) == 1 else "sit"
        return _Obstacle(
            errors.DEVICE_IN_USE, f"({link.name}) is the host's: {', '.join(uppers)} {verb} on it"
        )
    for address in routing.addresses(host, link.ifindex):
        # An IPv6 address with a lifetime came by itself, from a router: nobody uses the device.
        used = address.permanent or ":" not in address.address
        if used and address.scope == routing.SCOPE_GLOBAL:
            return _Obstacle(
                errors.DEVICE_IN_USE, f"({link.name}) carries the host's address {address.address}"
            )
    if link.up and routing.has_default_route(host, link.ifindex):
        return _Obstacle(errors.DEVICE_IN_USE, f"({link.name}) carries a default route of the host")
    if function.vf is None and sysfs.num_vfs(link.name):
        taken = registry.claimed_addresses() & {vf.address for vf in vfs_of(link.name)}
        if taken:
            return _Obstacle(
                errors.DEVICE_IN_USE, f"({link.name}) has VFs that pods use: {', '.join(taken)}"
            )
    return None

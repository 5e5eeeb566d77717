# SPDX-License-Identifier: Apache-2.0
"""A VF's way into a pod and home again: snapshot, apply, hand over; find, bring home.

The way home starts from the record and from what the kernel says now, never from memory of how far
an ADD got; so the undo of a failed ADD, DEL after a crash and GC are the same code.
domain/restoration.py does the rest of it.
"""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from sriov_cni.cni import errors
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import mac
from sriov_cni.domain.function import Administrator, Function, administrator
from sriov_cni.domain.record import Device, Record, Snapshot
from sriov_cni.kernel import links, netns, sysfs, vfs
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import KernelError, Socket
from sriov_cni.kernel.netns import Pod
from sriov_cni.kernel.patience import BUSY, patiently
from sriov_cni.kernel.vfs import VfAttributes

_PATIENCE = 5.0  # seconds; emptying a dead namespace takes milliseconds, beside many others more


def take_snapshot(host: Socket, function: Function, link: Link | None) -> Snapshot:
    """Return the state to restore later; `link` is the function's device, if it has one."""
    device = None
    if link is not None:
        device = Device(
            name=link.name,
            alternative_names=link.alternative_names,
            mac=link.mac,
            mtu=link.mtu,
            up=link.up,
            parent=links.pci_address(host, link),
            settings=link.settings,
        )
    admin = administrator(function)
    return Snapshot(device, attributes(host, admin) if admin is not None else None)


def attributes(host: Socket, admin: Administrator) -> VfAttributes | None:
    """Return what the PF enforces for a VF, None where its driver administers none.

    A VF that the PF does not list, because its driver is busy with it, is waited for; raises
    KernelError (EBUSY) after that.
    """
    return patiently(vfs.attributes, host, *admin)


def apply(
    host: Socket, record: Record, link: Link | None, wanted: VfAttributes, mtu: int | None
) -> None:
    """Give the function, still on the host, the wanted attributes, MAC and MTU.

    Its flags become what a new device has: a pod that the VF was in before, and whose DEL never
    came, may have changed them. Undone by restoration.restore(). Raises CniError (103) where there
    is nobody to set an attribute, or the driver refuses it, or accepts it but does not do it.
    """
    before = record.before.attributes
    admin = administrator(record.function) if before is not None else None
    _refuse_impossible(record, link, wanted, mtu)
    try:
        if link is not None and link.up:
            patiently(links.set_up, host, link, False)
        if link is not None and (flags := _fresh(link.settings.flags)) != link.settings.flags:
            links.set_setting(host, link, "flags", flags)
        if admin is not None and before is not None:
            for change in attribute_changes(host, admin, before, wanted):
                change()
        if wanted.mac is not None:
            mac.give(host, admin, link, wanted.mac)
        elif link is not None and before is not None and before.mac == vfs.NO_MAC:
            mac.register(host, link)
        if link is not None and mtu is not None and mtu != link.mtu:
            patiently(links.set_mtu, host, link, mtu)
    except KernelError as error:
        raise CniError(
            errors.REFUSED_BY_KERNEL, f"{_drivers(record.function)} refused", str(error)
        ) from None
    if admin is not None and wanted != VfAttributes():
        _verify(host, admin, wanted)


def _fresh(flags: int) -> int:
    return flags & ~(links.NOARP | links.PROMISC | links.ALLMULTI) | links.MULTICAST


def _drivers(function: Function) -> str:
    """Name the drivers that a refusal may come from: the function's and its PF's."""
    addresses = (function.address, sysfs.pf_address(function.address))
    names = (sysfs.driver(address) for address in addresses if address is not None)
    return "driver " + " or ".join(dict.fromkeys(name for name in names if name))


def _refuse_impossible(
    record: Record, link: Link | None, wanted: VfAttributes, mtu: int | None
) -> None:
    if link is None and mtu is not None:
        raise CniError(
            errors.REFUSED_BY_KERNEL,
            f"{record.function} has no MTU",
            "it has no network device, its driver serves user space: remove mtu",
        )
    possible = wanted if link is None else wanted._replace(mac=None)
    if record.before.attributes is None and possible != VfAttributes():
        raise CniError(
            errors.REFUSED_BY_KERNEL,
            f"nobody administers {record.function}",
            f"the driver of {record.function.pf or 'its PF'} has no VF administration: remove "
            "vlan, spoofchk, trust, link_state and rates from the configuration",
        )


def _verify(host: Socket, admin: Administrator, wanted: VfAttributes) -> None:
    now = attributes(host, admin)
    if now is not None and (differences := attribute_differences(now, wanted)):
        raise CniError(
            errors.REFUSED_BY_KERNEL,
            f"the driver of {admin.pf} did not do what it accepted",
            f"VF {admin.vf}: {'; '.join(differences)}",
        )


def administrative_mac(host: Socket, record: Record) -> str:
    """Return the MAC that the PF has set for a VF, empty if none."""
    admin = administrator(record.function)
    now = attributes(host, admin) if admin is not None else None
    mac_set = now.mac if now is not None else None
    return mac_set if mac_set and mac_set != vfs.NO_MAC else ""


def attribute_differences(now: VfAttributes, wanted: VfAttributes) -> list[str]:
    """Return a phrase for each wanted attribute that is another now; unknown ones are none."""
    return [
        f"{name} is {actual}, not {value}"
        for name, value, actual in zip(wanted._fields, wanted, now, strict=True)
        if value is not None and actual is not None and actual != value
    ]


def attribute_changes(
    host: Socket, admin: Administrator, now: VfAttributes, wanted: VfAttributes
) -> Iterator[Callable[[], None]]:
    """Yield the change for each attribute, MAC excepted, that is to become another."""
    if wanted.vlan is not None and now[1:4] != wanted[1:4]:
        tag = (wanted.vlan, wanted.vlan_qos or 0, wanted.vlan_proto or "802.1q")
        yield partial(patiently, vfs.set_vlan, host, *admin, *tag)
    if wanted.spoofchk is not None and now.spoofchk != wanted.spoofchk:
        yield partial(patiently, vfs.set_spoofchk, host, *admin, wanted.spoofchk)
    if wanted.trust is not None and now.trust != wanted.trust:
        yield partial(patiently, vfs.set_trust, host, *admin, wanted.trust)
    if wanted.link_state is not None and now.link_state != wanted.link_state:
        yield partial(patiently, vfs.set_link_state, host, *admin, wanted.link_state)
    lowest = _first_known(wanted.min_tx_rate, now.min_tx_rate)
    highest = _first_known(wanted.max_tx_rate, now.max_tx_rate)
    if (lowest, highest) != (now.min_tx_rate or 0, now.max_tx_rate or 0):
        yield partial(patiently, vfs.set_rates, host, *admin, lowest, highest)


def _first_known(*rates: int | None) -> int:
    return next((rate for rate in rates if rate is not None), 0)


def hand_over(host: Socket, record: Record, link: Link, pod: Pod) -> Link:
    """Move the VF into the pod under the interface's name, bring it up, and return it there.

    Undone by `bring_home`.
    """
    ifname = record.attachment.ifname
    _leave_taken_names(host, link, pod.socket, ifname)
    try:
        links.move(host, link, pod.namespace, ifname, up=True)
    except KernelError as refusal:
        if refusal.errno not in BUSY:
            raise
        _hand_over_patiently(host, link, pod, ifname)
    arrived = links.find(pod.socket, ifname)
    if arrived is None:
        raise KernelError(errno.ENODEV, f"looking for {ifname} in the pod")
    return arrived


def _hand_over_patiently(host: Socket, link: Link, pod: Pod, ifname: str) -> None:
    """Move a VF whose driver was busy, and bring it up, whichever of the two that was about."""
    try:
        patiently(partial(links.move, up=False), host, link, pod.namespace, ifname)
    except KernelError as refusal:
        if refusal.errno != errno.ENODEV:  # which means that it is in the pod already
            raise
    arrived = links.find(pod.socket, ifname)
    if arrived is not None:
        patiently(links.set_up, pod.socket, arrived, True)


def _leave_taken_names(here: Socket, link: Link, there: Socket, name: str) -> None:
    """Take from a device the alternative names it cannot keep where it goes; DEL restores them."""
    for alternative in link.alternative_names:
        if alternative == name or links.find(there, alternative) is not None:
            links.remove_alternative_name(here, link, alternative)


def find_in_pod(record: Record, pod: Socket) -> Link | None:
    """Return the function's device in the pod, whatever it is called there.

    It is told by its PCI address: a namespace may be another pod's by now, with a device of the
    same name. Only devices that have none are told by their names.
    """
    device = record.before.device
    if device is None:
        return None
    for name in (record.attachment.ifname, device.name):
        link = links.find(pod, name)
        if link is not None and _is(link, pod, record):
            return link
    if device.parent:
        return next((link for link in links.everything(pod) if _is(link, pod, record)), None)
    return None


def _is(link: Link, pod: Socket, record: Record) -> bool:
    """Tell whether a device is the record's function; the first release left the parent empty."""
    device, address = record.before.device, links.pci_address(pod, link)
    return device is not None and address in (device.parent, record.function.address)


def find_on_host(host: Socket, address: str) -> Link | None:
    """Return a function's own network device on the host, None if it is in a pod or has none."""
    names = sysfs.netdev_names(address)
    if len(names) > 1:  # a PF in switchdev mode
        names = sysfs.uplink_names(address)
    for name in names:
        link = links.find(host, name)
        if link is not None and link.parent in ("", address):
            return link
    return None


def bring_home(host: Socket, record: Record, netns_given: str) -> Link | None:
    """Return the function's device on the host, fetching it from the pod if need be.

    `netns_given` is where the runtime says that the pod is now: the path that its ADD named may be
    gone, or lead elsewhere. None if there is no device: the function is gone, or serves user space.
    Raises KernelError, and CniError (11) if it is where nobody can fetch it.
    """
    device = record.before.device
    at_home = find_on_host(host, record.function.address)
    if at_home is not None or device is None:
        return at_home
    for path in dict.fromkeys((record.attachment.netns, netns_given)):
        # Without a namespace at that path, the kernel brings the device home: see below.
        with suppress(netns.NotANamespaceError), netns.pod_at(path) as pod:
            link = find_in_pod(record, pod.socket)
            if link is not None:
                _move_home(host, pod, link, device)
                break
    return _arrived(host, record.function)


def _move_home(host: Socket, pod: Pod, link: Link, before: Device) -> None:
    """Move a device to the host, under another name where another device has taken its own.

    Alternative names that it was given in the pod stay there: see links.remove_alternative_name().
    """
    for name in set(link.alternative_names) - set(before.alternative_names):
        links.remove_alternative_name(pod.socket, link, name)
    _leave_taken_names(pod.socket, link, host, before.name)
    move = partial(patiently, partial(links.move, up=False), pod.socket, link, netns.host())
    try:
        move(before.name)
    except KernelError as refusal:
        if refusal.errno != errno.EEXIST:
            raise
        if links.get(pod.socket, link.ifindex) is not None:  # else only the renaming failed
            move("dev%d")  # a free number


def _arrived(host: Socket, function: Function) -> Link | None:
    """Return a device on the host, waiting for the kernel while it empties a dead namespace.

    It does that some time after the last user is gone (cleanup_net() in net/core/net_namespace.c).
    """
    deadline = time.monotonic() + _PATIENCE
    while (link := find_on_host(host, function.address)) is None:
        if not sysfs.has_netdevs(function.address):
            return None
        if time.monotonic() > deadline:
            raise CniError(
                errors.TRY_AGAIN_LATER,
                f"{function} is in an unknown network namespace",
                f"{function.address} comes back when that ends: look for processes of the pod, or "
                "for whoever moved it on",
            )
        time.sleep(0.005)
    return link

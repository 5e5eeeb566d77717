# SPDX-License-Identifier: Apache-2.0
"""A VF's way into a pod and back: snapshot, apply, hand over; find, bring home, restore.

Every way back starts from the record and from what the kernel says now, never from memory of how
far an ADD got; so the undo of a failed ADD, DEL after a crash and GC are the same code.
"""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from sriov_cni.cni import errors, log
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import mac
from sriov_cni.domain.function import Administrator, Function, administrator
from sriov_cni.domain.record import Device, Record, Snapshot
from sriov_cni.kernel import links, netns, sysfs, vfs
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import KernelError, Socket
from sriov_cni.kernel.netns import Pod
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
            parent=link.parent,
        )
    admin = administrator(function)
    return Snapshot(device, vfs.attributes(host, *admin) if admin is not None else None)


def apply(
    host: Socket, record: Record, link: Link | None, wanted: VfAttributes, mtu: int | None
) -> None:
    """Give the function, still on the host, the wanted attributes, MAC and MTU.

    Undone by `restore`. Raises CniError (103) where there is nobody to set an attribute, or the
    driver refuses it, or accepts it but does not do it.
    """
    before = record.before.attributes
    admin = administrator(record.function) if before is not None else None
    _refuse_impossible(record, link, wanted, mtu)
    if link is not None and link.up:
        links.set_up(host, link, False)
    try:
        if admin is not None and before is not None:
            for change in _changes(host, admin, before, wanted):
                change()
        if wanted.mac is not None:
            mac.give(host, admin, link, wanted.mac)
        elif link is not None and before is not None and before.mac == vfs.NO_MAC:
            mac.register(host, link)
        if link is not None and mtu is not None and mtu != link.mtu:
            links.set_mtu(host, link, mtu)
    except KernelError as error:
        raise CniError(
            errors.REFUSED_BY_KERNEL, f"{_drivers(record.function)} refused", str(error)
        ) from None
    if admin is not None and wanted != VfAttributes():
        _verify(host, admin, wanted)


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
    now = vfs.attributes(host, *admin)
    if now is not None and (differences := attribute_differences(now, wanted)):
        raise CniError(
            errors.REFUSED_BY_KERNEL,
            f"the driver of {admin.pf} did not do what it accepted",
            f"VF {admin.vf}: {'; '.join(differences)}",
        )


def administrative_mac(host: Socket, record: Record) -> str:
    """Return the MAC that the PF has set for a VF, empty if none."""
    admin = administrator(record.function)
    attributes = vfs.attributes(host, *admin) if admin is not None else None
    mac_set = attributes.mac if attributes is not None else None
    return mac_set if mac_set and mac_set != vfs.NO_MAC else ""


def attribute_differences(now: VfAttributes, wanted: VfAttributes) -> list[str]:
    """Return a phrase for each wanted attribute that is another now; unknown ones are none."""
    return [
        f"{name} is {actual}, not {value}"
        for name, value, actual in zip(wanted._fields, wanted, now, strict=True)
        if value is not None and actual is not None and actual != value
    ]


def _changes(
    host: Socket, admin: Administrator, now: VfAttributes, wanted: VfAttributes
) -> Iterator[Callable[[], None]]:
    """Yield the change for each attribute, MAC excepted, that is to become another."""
    if wanted.vlan is not None and now[1:4] != wanted[1:4]:
        vlan, qos, proto = wanted.vlan, wanted.vlan_qos or 0, wanted.vlan_proto or "802.1q"
        yield lambda: vfs.set_vlan(host, *admin, vlan, qos, proto)
    if (spoofchk := wanted.spoofchk) is not None and now.spoofchk != spoofchk:
        yield lambda: vfs.set_spoofchk(host, *admin, spoofchk)
    if (trust := wanted.trust) is not None and now.trust != trust:
        yield lambda: vfs.set_trust(host, *admin, trust)
    if (state := wanted.link_state) is not None and now.link_state != state:
        yield lambda: vfs.set_link_state(host, *admin, state)
    lowest = _first_known(wanted.min_tx_rate, now.min_tx_rate)
    highest = _first_known(wanted.max_tx_rate, now.max_tx_rate)
    if (lowest, highest) != (now.min_tx_rate or 0, now.max_tx_rate or 0):
        yield lambda: vfs.set_rates(host, *admin, lowest, highest)


def _first_known(*rates: int | None) -> int:
    return next((rate for rate in rates if rate is not None), 0)


def hand_over(host: Socket, record: Record, link: Link, pod: Pod) -> Link:
    """Move the VF into the pod under the interface's name, bring it up, and return it there.

    Undone by `bring_home`.
    """
    ifname = record.attachment.ifname
    _leave_taken_names(host, link, pod.socket, ifname)
    links.move(host, link, pod.namespace, ifname, up=True)
    arrived = links.find(pod.socket, ifname)
    if arrived is None:
        raise KernelError(errno.ENODEV, f"looking for {ifname} in the pod")
    return arrived


def _leave_taken_names(here: Socket, link: Link, there: Socket, name: str) -> None:
    """Take from a device the alternative names it cannot keep where it goes; see `restore`."""
    for alternative in link.alternative_names:
        if alternative == name or links.find(there, alternative) is not None:
            links.remove_alternative_name(here, link, alternative)


def find_in_pod(record: Record, pod: Socket) -> Link | None:
    """Return the function's device in the pod, whatever it is called there."""
    device = record.before.device
    if device is None:
        return None
    for name in (record.attachment.ifname, device.name):
        link = links.find(pod, name)
        if link is not None and link.parent == device.parent:
            return link
    if device.parent:
        return next((link for link in links.everything(pod) if link.parent == device.parent), None)
    return None


def find_on_host(host: Socket, address: str) -> Link | None:
    """Return the network device of a VF on the host, None if it is in a pod or has none."""
    for name in sysfs.netdev_names(address):
        link = links.find(host, name)
        if link is not None and link.parent in ("", address):
            return link
    return None


def bring_home(host: Socket, record: Record) -> Link | None:
    """Return the function's device on the host, fetching it from the pod if need be.

    None if there is none: the function is gone, or serves user space. Raises KernelError, and
    CniError (11) if it is where nobody can fetch it.
    """
    device = record.before.device
    at_home = find_on_host(host, record.function.address)
    if at_home is not None or device is None:
        return at_home
    # Without a namespace at that path, the kernel brings the device home: see below.
    with suppress(netns.NotANamespaceError), netns.pod_at(record.attachment.netns) as pod:
        link = find_in_pod(record, pod.socket)
        if link is not None:
            _move_home(host, pod, link, device.name)
    return _arrived(host, record.function)


def _move_home(host: Socket, pod: Pod, link: Link, name: str) -> None:
    """Move a device to the host, under another name where another device has taken its own."""
    _leave_taken_names(pod.socket, link, host, name)
    try:
        links.move(pod.socket, link, netns.host(), name, up=False)
    except KernelError as refusal:
        if refusal.errno != errno.EEXIST:
            raise
        if links.get(pod.socket, link.ifindex) is not None:  # else only the renaming failed
            links.move(pod.socket, link, netns.host(), "dev%d", up=False)  # a free number


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


def restore(host: Socket, record: Record, link: Link | None) -> list[str]:
    """Make the function, back on the host, what it was before; return what could not be done.

    Without a device (`link` None) there is only what the PF administers.
    """
    problems: list[str] = []

    def attempt(change: Callable[[], None]) -> None:
        try:
            change()
        except KernelError as error:
            problems.append(str(error))

    device, attributes = record.before
    if link is not None and device is not None:
        for change in _device_changes(host, link, device):
            attempt(change)
    admin = administrator(record.function)
    if admin is not None and attributes is not None:
        now = vfs.attributes(host, *admin) or attributes
        for change in _changes(host, admin, now, attributes):
            attempt(change)
    attempt(lambda: mac.give_back(host, admin, link, record.before))
    if link is not None and device is not None and device.up:
        attempt(lambda: links.set_up(host, link, True))
    return problems


def _device_changes(host: Socket, link: Link, before: Device) -> Iterator[Callable[[], None]]:
    """Yield what makes a device, MAC excepted, what it was before; it ends down."""
    if link.up:
        yield lambda: links.set_up(host, link, False)
    for name in link.alternative_names:
        if name not in before.alternative_names:  # the pod's; it may even be the name wanted next
            yield partial(links.remove_alternative_name, host, link, name)
    if link.name != before.name:
        yield partial(_give_name, links.rename, host, link, before.name)
    for name in before.alternative_names:
        if name not in link.alternative_names:
            yield partial(_give_name, links.add_alternative_name, host, link, name)
    if before.mtu not in (0, link.mtu):
        yield lambda: links.set_mtu(host, link, before.mtu)


def _give_name(
    change: Callable[[Socket, Link, str], None], host: Socket, link: Link, name: str
) -> None:
    """Give a device its name back, unless another device has taken that meanwhile."""
    try:
        change(host, link, name)
    except KernelError as refusal:
        other = links.find(host, name) if refusal.errno == errno.EEXIST else None
        if other is None or other.ifindex == link.ifindex:
            raise
        log.write("warning", f"{link.name} is not {name} again: another device has that name")

# SPDX-License-Identifier: Apache-2.0
"""A function's network device on its way into a pod and home again.

The way home starts from the kernel's state, not from memory of how far the way out got. So the undo
of a failed ADD, DEL after a crash and GC are the same code.
"""

import errno
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from sriov_cni.device.errors import UnreachableError
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device
from sriov_cni.kernel import links, netns, sysfs
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.netns import Pod
from sriov_cni.kernel.patience import BUSY, patiently

ARRIVAL_PATIENCE = 5.0  # seconds; the kernel empties a dead namespace in milliseconds, if not busy


def hand_over(host: Socket, link: Link, pod: Pod, ifname: str) -> Link:
    """Move a device into the pod under the interface's name, bring it up, and return it there.

    Undone by `bring_home`. Raises KernelError.
    """
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


def find_in_pod(pod: Socket, address: str, before: Device, ifname: str) -> Link | None:
    """Return a function's device in the pod, whatever it is called there; `before`: on the host.

    It is told by its PCI address: a namespace may be another pod's by now, with a device of the
    same name. Only devices that have none are told by their names.
    """
    own = (before.parent, address)  # records of the first release left the parent empty
    for name in (ifname, before.name):
        link = links.find(pod, name)
        if link is not None and links.pci_address(pod, link) in own:
            return link
    if before.parent:
        everything = links.list_all(pod)
        return next((link for link in everything if links.pci_address(pod, link) in own), None)
    return None


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


def bring_home(
    host: Socket, function: PciFunction, before: Device | None, ifname: str, paths: Iterable[str]
) -> Link | None:
    """Return a function's device on the host, fetching it from the pod if need be.

    `paths` are where the pod's namespace may be: the path that an ADD named may be gone by now, or
    lead elsewhere. None if there is no device: the function is gone, or serves user space. Raises
    KernelError, and UnreachableError if the device is where nobody can fetch it.
    """
    at_home = find_on_host(host, function.address)
    if at_home is not None or before is None:
        return at_home
    for path in dict.fromkeys(paths):
        # Without a namespace at that path, the kernel brings the device home: see below.
        with suppress(netns.NotANamespaceError), netns.pod_at(path) as pod:
            link = find_in_pod(pod.socket, function.address, before, ifname)
            if link is not None:
                _move_home(host, pod, link, before)
                break
    return _arrived(host, function)


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


def _arrived(host: Socket, function: PciFunction) -> Link | None:
    """Return a device on the host, waiting for the kernel while it empties a dead namespace.

    It does that some time after the last user is gone (cleanup_net() in net/core/net_namespace.c).
    """
    deadline = time.monotonic() + ARRIVAL_PATIENCE
    while (link := find_on_host(host, function.address)) is None:
        if not sysfs.has_netdevs(function.address):
            return None
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"{function} is in an unknown network namespace",
                f"{function.address} comes back when that ends: look for processes of the pod, or "
                "for whoever moved it on",
            )
        time.sleep(0.005)
    return link

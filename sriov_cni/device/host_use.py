# SPDX-License-Identifier: Apache-2.0
"""Reasons why no pod may have a network device: the host uses it, or it is of another kind."""

from collections.abc import Iterable, Sequence

from sriov_cni.kernel import addresses, routes, sysfs
from sriov_cni.kernel.addresses import InterfaceAddress
from sriov_cni.kernel.links import ETHERNET, INFINIBAND, Link
from sriov_cni.kernel.messages import SCOPE_GLOBAL
from sriov_cni.kernel.netlink import Socket

USERSPACE_DRIVERS = ("vfio-pci", "uio_pci_generic", "igb_uio")


def why_not_ethernet(link: Link) -> str | None:
    """Say why no pod can use a device, None if it is an Ethernet device; follows its address."""
    if link.kind == INFINIBAND:
        return (
            f"({link.name}) is an InfiniBand device: this plugin serves Ethernet, use ib-sriov-cni"
        )
    if link.kind != ETHERNET:
        return f"({link.name}) is no Ethernet device (type {link.kind})"
    return None


def why_used(host: Socket, link: Link) -> str | None:
    """Say what the host uses a device for, None if it does not use it; follows its address.

    Raises KernelError.
    """
    if link.master is not None:
        return in_a_group(link.name)
    if uppers := sysfs.upper_names(link.name):
        return below(link.name, uppers)
    if reason := why_addressed(link.name, addresses.list_of(host, link.ifindex)):
        return reason
    if link.up and routes.has_default(host, link.ifindex):
        return carrying_default(link.name)
    return None


def in_a_group(netdev: str) -> str:
    """Say that a device has a master."""
    return f"({netdev}) belongs to a bond, bridge or team of the host"


def below(netdev: str, uppers: Sequence[str]) -> str:
    """Say which devices sit on a device."""
    verb = "sits" if len(uppers) == 1 else "sit"
    return f"({netdev}) is the host's: {', '.join(uppers)} {verb} on it"


def why_addressed(netdev: str, found: Iterable[InterfaceAddress]) -> str | None:
    """Name the first of a device's addresses that shows that the host uses it, None without one."""
    for address in found:
        # An IPv6 address with a lifetime came from a router by itself: it is no sign of use.
        used = address.permanent or ":" not in address.address
        if used and address.scope == SCOPE_GLOBAL:
            return f"({netdev}) carries the host's address {address.address}"
    return None


def carrying_default(netdev: str) -> str:
    """Say that a default route leads through a device."""
    return f"({netdev}) carries a default route of the host"


def why_no_netdev(address: str) -> str | None:
    """Say why a function has no network device on the host, None if it serves user space."""
    driver = sysfs.driver(address)
    if driver in USERSPACE_DRIVERS:
        return None
    if driver is None:
        return "is bound to no driver: bind it to its network driver, or to vfio-pci for user space"
    return elsewhere(driver)


def elsewhere(driver: str) -> str:
    """Say that a device bound to a network driver has no network device on the host."""
    return f"has no network device on the host: it is in another namespace, or {driver} gives none"

# SPDX-License-Identifier: Apache-2.0
"""The pod's interface as IPAM wants it: addresses and routes, set and compared."""

import errno
import time

from sriov_cni.cni import errors
from sriov_cni.cni.addresses import IPAddress
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Ip, Result, Route
from sriov_cni.kernel import addresses, netns, routes
from sriov_cni.kernel.addresses import InterfaceAddress
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.messages import SCOPE_GLOBAL
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.netns import Pod
from sriov_cni.kernel.routes import KernelRoute

_NEIGHBOUR_PATIENCE = 0.005  # seconds; a neighbour's kernel answers within a millisecond
_PAUSE = 0.001  # seconds between two looks


def configure(pod: Pod, link: Link, ipam: Result) -> None:
    """Give the interface IPAM's addresses and routes; it is up.

    Undone by the interface leaving the pod. Raises KernelError, and CniError: 7 for a route that
    the pod has already, or whose gateway is of the other IP version; 103 for an IPv6 address where
    the kernel has no IPv6; 11 for one that a neighbour has.
    """
    _prepare(pod, link, ipam)
    for ip in ipam.ips:
        addresses.add(pod.socket, link, ip.address.version, _address(ip))
    for route in ipam.routes:
        wanted = _route(route, ipam.ips)
        if wanted.gateway and (":" in wanted.gateway) != (wanted.version == 6):
            raise CniError(
                errors.INVALID_CONFIGURATION,
                f"route to {route.destination} through {wanted.gateway} refused",
                "a route and its gateway must be of one IP version",
            )
        try:
            routes.add(pod.socket, link, wanted)
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
            raise CniError(
                errors.INVALID_CONFIGURATION,
                f"the pod already has a route to {route.destination}",
                f"{link.name} cannot have another one with the same priority in the same table: "
                "give this network's route its own priority or table, or remove it",
            ) from None
    if link.carrier:
        _refuse_duplicates(pod.socket, link, ipam)


def _prepare(pod: Pod, link: Link, ipam: Result) -> None:
    wanted = [str(ip.address) for ip in ipam.ips if ip.address.version == 6]
    try:
        netns.prepare(pod, link.name, ipv6=bool(wanted))
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        raise CniError(
            errors.REFUSED_BY_KERNEL,
            "no IPv6",
            f"{link.name} cannot have {', '.join(wanted)}: either the node's kernel runs without "
            "IPv6 (ipv6.disable=1 on its command line) or the interface's MTU is below 1280: "
            "change that, or have IPAM give IPv4 addresses only",
        ) from None


def _refuse_duplicates(pod: Socket, link: Link, ipam: Result) -> None:
    """Raise CniError (11) if a neighbour has one of the IPv6 addresses, and answers now.

    The kernel verifies an optimistic address from the moment it is added, and a neighbour's kernel
    answers within a millisecond mostly. CHECK reports duplicates that this look misses: of a
    neighbour that answers later, of a VF that has no carrier yet, and on a kernel without
    optimistic addresses, which asks up to a second later.
    """
    expected = {str(ip.address.ip): ip.address for ip in ipam.ips if ip.address.version == 6}
    deadline = time.monotonic() + _NEIGHBOUR_PATIENCE
    while expected:
        found = [a for a in addresses.list_of(pod, link.ifindex) if a.address in expected]
        if duplicates := [str(expected[a.address]) for a in found if a.duplicate]:
            raise CniError(
                errors.TRY_AGAIN_LATER,
                f"address {', '.join(duplicates)} is taken",
                f"another station in the network of {link.name} has it (IPv6 duplicate address "
                "detection): find that, or ask for another address",
            )
        if not any(a.optimistic for a in found) or time.monotonic() > deadline:
            return
        time.sleep(_PAUSE)


def differences(pod: Socket, link: Link, expected: Result) -> list[str]:
    """Return a phrase for each expected address and route that the pod does not have, or use.

    Routes count wherever they are: plugins later in a chain may move them to another table or
    device, and that is their right.
    """
    have = {(a.address, a.prefix_length): a for a in addresses.list_of(pod, link.ifindex)}
    missing = []
    for ip in expected.ips:
        found = have.get((str(ip.address.ip), ip.address.prefixlen))
        if found is None:
            missing.append(f"address {ip.address} is missing")
        elif found.duplicate:
            missing.append(f"address {ip.address} is unusable, another station has it")
    for version in {route.destination.version for route in expected.routes}:
        paths = {route.path for route in routes.list_all(pod, version)}
        missing += [
            f"route to {wanted} is missing"
            for route in expected.routes
            if route.destination.version == version
            and (wanted := _route(route, expected.ips)).path not in paths
        ]
    return missing


def _address(ip: Ip) -> InterfaceAddress:
    return InterfaceAddress(str(ip.address.ip), ip.address.prefixlen)


def _route(route: Route, ips: tuple[Ip, ...]) -> KernelRoute:
    gateway = route.gateway
    if gateway is None and route.scope in (None, SCOPE_GLOBAL):
        gateway = _gateway(route.destination.version, ips)
    return KernelRoute(
        version=route.destination.version,
        destination=str(route.destination.network),
        prefix_length=route.destination.prefixlen,
        gateway="" if gateway is None else str(gateway),
        mtu=route.mtu,
        advmss=route.advmss,
        priority=route.priority,
        table=route.table,
        scope=route.scope,
        onlink=gateway is not None and not any(gateway in ip.address.cidr for ip in ips),
    )


def _gateway(version: int, ips: tuple[Ip, ...]) -> IPAddress | None:
    return next((ip.gateway for ip in ips if ip.address.version == version and ip.gateway), None)

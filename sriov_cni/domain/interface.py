# SPDX-License-Identifier: Apache-2.0
"""The pod's interface as IPAM wants it: addresses and routes, set and compared."""

import errno

from sriov_cni.cni import errors
from sriov_cni.cni.addresses import IPAddress
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Ip, Result, Route
from sriov_cni.kernel import netns, routing
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import KernelError, Socket
from sriov_cni.kernel.netns import Pod
from sriov_cni.kernel.routing import InterfaceAddress, KernelRoute


def configure(pod: Pod, link: Link, ipam: Result) -> None:
    """Give the interface IPAM's addresses and routes; it is up.

    Undone by the interface leaving the pod. Raises KernelError, and CniError (7) for a route that
    the pod has already, or whose gateway is of the other IP version.
    """
    if any(ip.address.version == 6 for ip in ipam.ips):
        netns.prepare_ipv6(pod, link.name)
    for ip in ipam.ips:
        routing.add_address(pod.socket, link.ifindex, ip.address.version, _address(ip))
    for route in ipam.routes:
        wanted = _route(route, ipam.ips)
        if wanted.gateway and (":" in wanted.gateway) != (wanted.version == 6):
            raise CniError(
                errors.INVALID_CONFIGURATION,
                f"route to {route.destination} through {wanted.gateway} refused",
                "a route and its gateway must be of one IP version",
            )
        try:
            routing.add_route(pod.socket, link.ifindex, wanted)
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
            raise CniError(
                errors.INVALID_CONFIGURATION,
                f"the pod already has a route to {route.destination}",
                f"{link.name} cannot have another one with the same priority in the same table: "
                "give this network's route its own priority or table, or remove it",
            ) from None


def differences(pod: Socket, link: Link, expected: Result) -> list[str]:
    """Return a phrase for each expected address and route that the pod does not have.

    Routes count wherever they are: plugins later in a chain may move them to another table or
    device, and that is their right.
    """
    have = {(a.address, a.prefix_length) for a in routing.addresses(pod, link.ifindex)}
    missing = [
        f"address {ip.address} is missing" for ip in expected.ips if _address(ip)[:2] not in have
    ]
    for version in {route.destination.version for route in expected.routes}:
        routes = {route[1:4] for route in routing.routes(pod, version)}
        missing += [
            f"route to {wanted} is missing"
            for route in expected.routes
            if route.destination.version == version
            and (wanted := _route(route, expected.ips))[1:4] not in routes
        ]
    return missing


def _address(ip: Ip) -> InterfaceAddress:
    return InterfaceAddress(str(ip.address.ip), ip.address.prefixlen)


def _route(route: Route, ips: tuple[Ip, ...]) -> KernelRoute:
    gateway = route.gateway
    if gateway is None and route.scope in (None, routing.SCOPE_GLOBAL):
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

# SPDX-License-Identifier: Apache-2.0
"""Addresses and routes of a namespace (rtnetlink(7), RTM_*ADDR and RTM_*ROUTE).

All functions raise KernelError.
"""

import socket
from typing import NamedTuple

from sriov_cni.kernel.messages import AddressMessage, RouteMessage
from sriov_cni.kernel.netlink import Message, Socket

_RTM_NEWADDR, _RTM_GETADDR, _RTM_NEWROUTE, _RTM_GETROUTE = 20, 22, 24, 26
_NLM_F_EXCL, _NLM_F_CREATE = 0x200, 0x400
_IFA_F_OPTIMISTIC = 0x4  # RFC 4429: usable while duplicate address detection still runs
_IFA_F_DADFAILED, _IFA_F_TENTATIVE, _IFA_F_PERMANENT = 0x8, 0x40, 0x80
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_LONGEST_WITH_BROADCAST = 30  # a prefix; longer ones have none (RFC 3021)
_RT_TABLE_MAIN, _RTPROT_STATIC, _RTPROT_RA, _RTN_UNICAST, _RTNH_F_ONLINK = 254, 4, 9, 1, 4
_NLM_F_DUMP_FILTERED = 0x20
SCOPE_GLOBAL, SCOPE_LINK = 0, 253


class InterfaceAddress(NamedTuple):
    """An address with its prefix length and scope, as configured on a device.

    `tentative`: duplicate address detection still runs, or has failed; `duplicate`: it has failed,
    a neighbour has the address; `optimistic`: it runs, and the address is used already.
    `permanent`: it has no lifetime, as addresses have that router advertisements or DHCP gave.
    """

    address: str
    prefix_length: int
    scope: int = SCOPE_GLOBAL
    tentative: bool = False
    duplicate: bool = False
    optimistic: bool = False
    permanent: bool = True


class KernelRoute(NamedTuple):
    """A route as the kernel has it; `gateway` empty: on link. `version` is 4 or 6."""

    version: int
    destination: str
    prefix_length: int
    gateway: str = ""
    mtu: int | None = None
    advmss: int | None = None
    priority: int | None = None
    table: int | None = None
    scope: int | None = None
    onlink: bool = False

    def __str__(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        return f"{self.destination}/{self.prefix_length}{via}"


def add_address(sock: Socket, link_index: int, version: int, address: InterfaceAddress) -> None:
    """Give a device an address, and an IPv4 one its broadcast address, as other plugins do.

    An IPv6 address is usable at once where the kernel has that (optimistic).
    """
    message = AddressMessage()
    message["family"] = _FAMILIES[version]
    message["prefixlen"] = address.prefix_length
    message["index"] = link_index
    message["scope"] = address.scope
    message["attrs"] = [("IFA_LOCAL", address.address), ("IFA_ADDRESS", address.address)]
    if version == 6:
        message["flags"] = _IFA_F_OPTIMISTIC
    elif address.prefix_length <= _LONGEST_WITH_BROADCAST:
        message["attrs"].append(("IFA_BROADCAST", _broadcast(address)))
    doing = f"adding address {address.address}/{address.prefix_length}"
    sock.change(_RTM_NEWADDR, message, _NLM_F_CREATE | _NLM_F_EXCL, doing)


def addresses(sock: Socket, link_index: int) -> list[InterfaceAddress]:
    """Return the addresses of one device."""
    message = AddressMessage()
    message["index"] = link_index
    return [
        InterfaceAddress(
            answer.get_attr("IFA_LOCAL") or answer.get_attr("IFA_ADDRESS"),
            answer["prefixlen"],
            answer["scope"],
            tentative=bool(answer["flags"] & _IFA_F_TENTATIVE),
            duplicate=bool(answer["flags"] & _IFA_F_DADFAILED),
            optimistic=bool(answer["flags"] & _IFA_F_OPTIMISTIC),
            permanent=bool(answer["flags"] & _IFA_F_PERMANENT),
        )
        for answer in sock.dump(_RTM_GETADDR, message, "listing addresses")
        if answer["index"] == link_index  # kernels before 4.20 list all devices'
    ]


def _broadcast(address: InterfaceAddress) -> str:
    hosts = 0xFFFFFFFF >> address.prefix_length
    number = int.from_bytes(socket.inet_aton(address.address), "big") | hosts
    return socket.inet_ntoa(number.to_bytes(4, "big"))


def has_default_route(sock: Socket, link_index: int) -> bool:
    """Tell whether a default route of either IP version, in any table, leads through a device.

    Not one that a router advertised: that came by itself. The kernel looks for the device's routes
    (ip_valid_fib_dump_req() in net/ipv4/fib_frontend.c); kernels before 4.20 list all.
    """
    message = RouteMessage()
    message["attrs"] = [("RTA_OIF", link_index)]
    return any(
        answer["dst_len"] == 0
        and answer["type"] == _RTN_UNICAST
        and answer["proto"] != _RTPROT_RA
        and _leads_through(answer, link_index)
        for answer in sock.dump(_RTM_GETROUTE, message, "listing routes")
    )


def _leads_through(route: Message, link_index: int) -> bool:
    device = route.get_attr("RTA_OIF")
    if device is None:  # several next hops, of which the kernel has found the device's
        return bool(route["header"]["flags"] & _NLM_F_DUMP_FILTERED)
    return bool(device == link_index)


def add_route(sock: Socket, link_index: int, route: KernelRoute) -> None:
    """Add a route through a device; one that exists already is refused (EEXIST)."""
    message = RouteMessage()
    message["family"] = _FAMILIES[route.version]
    message["dst_len"] = route.prefix_length
    message["proto"] = _RTPROT_STATIC
    message["type"] = _RTN_UNICAST
    scope = route.scope
    if scope is None:
        scope = SCOPE_GLOBAL if route.gateway or route.version == 6 else SCOPE_LINK
    message["scope"] = scope
    message["flags"] = _RTNH_F_ONLINK if route.onlink else 0
    message["attrs"] = [("RTA_OIF", link_index), ("RTA_TABLE", route.table or _RT_TABLE_MAIN)]
    if route.prefix_length:
        message["attrs"].append(("RTA_DST", route.destination))
    if route.gateway:
        message["attrs"].append(("RTA_GATEWAY", route.gateway))
    if route.priority is not None:
        message["attrs"].append(("RTA_PRIORITY", route.priority))
    metrics = [("RTAX_MTU", route.mtu), ("RTAX_ADVMSS", route.advmss)]
    if given := [metric for metric in metrics if metric[1]]:
        message["attrs"].append(("RTA_METRICS", {"attrs": given}))
    sock.change(_RTM_NEWROUTE, message, _NLM_F_CREATE | _NLM_F_EXCL, f"adding route {route}")


def routes(sock: Socket, version: int) -> list[KernelRoute]:
    """Return the unicast routes of one IP version in all tables of the namespace."""
    message = RouteMessage()
    message["family"] = _FAMILIES[version]
    unspecified = {4: "0.0.0.0", 6: "::"}[version]
    return [
        KernelRoute(
            version=version,
            destination=answer.get_attr("RTA_DST") or unspecified,
            prefix_length=answer["dst_len"],
            gateway=answer.get_attr("RTA_GATEWAY") or "",
            priority=answer.get_attr("RTA_PRIORITY"),
            table=answer.get_attr("RTA_TABLE"),
            scope=answer["scope"],
        )
        for answer in sock.dump(_RTM_GETROUTE, message, "listing routes")
        if answer["type"] == _RTN_UNICAST
    ]

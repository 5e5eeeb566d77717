# SPDX-License-Identifier: Apache-2.0
"""Routes of a network namespace (rtnetlink(7), RTM_*ROUTE). All functions raise KernelError."""

from typing import NamedTuple

from sriov_cni.kernel.links import Link
from sriov_cni.kernel.messages import FAMILIES, SCOPE_GLOBAL, SCOPE_LINK, RouteMessage
from sriov_cni.kernel.netlink import Message, Socket

_RTM_NEWROUTE, _RTM_GETROUTE = 24, 26
_NLM_F_EXCL, _NLM_F_CREATE = 0x200, 0x400
_RT_TABLE_MAIN, _RTPROT_STATIC, _RTPROT_RA, _RTN_UNICAST, _RTNH_F_ONLINK = 254, 4, 9, 1, 4
_NLM_F_DUMP_FILTERED = 0x20


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

    @property
    def path(self) -> tuple[str, int, str]:
        """Where the route leads and through which gateway, whatever its table and metrics are."""
        return self.destination, self.prefix_length, self.gateway

    def __str__(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        return f"{self.destination}/{self.prefix_length}{via}"


def has_default(sock: Socket, link_index: int) -> bool:
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


def add(sock: Socket, link: Link, route: KernelRoute) -> None:
    """Add a route through a device; one that exists already is refused (EEXIST)."""
    message = RouteMessage()
    message["family"] = FAMILIES[route.version]
    message["dst_len"] = route.prefix_length
    message["proto"] = _RTPROT_STATIC
    message["type"] = _RTN_UNICAST
    scope = route.scope
    if scope is None:
        scope = SCOPE_GLOBAL if route.gateway or route.version == 6 else SCOPE_LINK
    message["scope"] = scope
    message["flags"] = _RTNH_F_ONLINK if route.onlink else 0
    message["attrs"] = [("RTA_OIF", link.ifindex), ("RTA_TABLE", route.table or _RT_TABLE_MAIN)]
    if route.prefix_length:
        message["attrs"].append(("RTA_DST", route.destination))
    if route.gateway:
        message["attrs"].append(("RTA_GATEWAY", route.gateway))
    if route.priority is not None:
        message["attrs"].append(("RTA_PRIORITY", route.priority))
    metrics = [("RTAX_MTU", route.mtu), ("RTAX_ADVMSS", route.advmss)]
    if given := [metric for metric in metrics if metric[1]]:
        message["attrs"].append(("RTA_METRICS", {"attrs": given}))
    doing = f"adding route {route} through {link.name}{_numbers(route)}"
    sock.change(_RTM_NEWROUTE, message, _NLM_F_CREATE | _NLM_F_EXCL, doing)


def _numbers(route: KernelRoute) -> str:
    given = {"table": route.table, "priority": route.priority}
    given |= {"mtu": route.mtu, "advmss": route.advmss}
    return "".join(f" {name} {value}" for name, value in given.items() if value is not None)


def list_all(sock: Socket, version: int) -> list[KernelRoute]:
    """Return the unicast routes of one IP version in all tables of the namespace."""
    message = RouteMessage()
    message["family"] = FAMILIES[version]
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

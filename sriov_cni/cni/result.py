# SPDX-License-Identifier: Apache-2.0
"""The result of an ADD: immutable values, and their shape in every version of the specification.

Specification: section 5, "Result Types"; 0.1.0 and 0.2.0 know only one address per family.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from sriov_cni.cni import errors, versions
from sriov_cni.cni.addresses import IPAddress, IPNetwork, parse_address, parse_network
from sriov_cni.cni.document import Fields, JsonObject
from sriov_cni.cni.errors import CniError

_MAX_U32 = (1 << 32) - 1
_Parsed = TypeVar("_Parsed")


class Interface(NamedTuple):
    """An interface made or used; `sandbox` is the pod's CNI_NETNS, empty on the host.

    `others` are the members of another plugin's interface that are no field here, to be passed on.
    """

    name: str
    mac: str = ""
    sandbox: str = ""
    mtu: int | None = None
    pci_id: str = ""
    others: Mapping[str, Any] = {}


class Ip(NamedTuple):
    """An address with its prefix; `interface` is an index into the result's interfaces."""

    address: IPNetwork
    gateway: IPAddress | None = None
    interface: int | None = None


class Route(NamedTuple):
    """A route; without `gateway` the one of the same family's address serves, if it has one.

    `scope` is the kernel's number (rtnetlink(7): 0 global, 253 link, 254 host).
    """

    destination: IPNetwork
    gateway: IPAddress | None = None
    mtu: int | None = None
    advmss: int | None = None
    priority: int | None = None
    table: int | None = None
    scope: int | None = None


class Dns(NamedTuple):
    """Name resolution, for the runtime to apply; the plugin only passes it on."""

    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Result(NamedTuple):
    """The result of an ADD; an IPAM result is the same without interfaces."""

    interfaces: tuple[Interface, ...] = ()
    ips: tuple[Ip, ...] = ()
    routes: tuple[Route, ...] = ()
    dns: Dns = Dns()

    def document(self, version: str) -> JsonObject:
        """Return the result in the shape of a supported specification version."""
        if versions.at_least(version, "0.3.0"):
            shape = _current_shape(self, version)
        else:
            shape = _first_shape(self)
        if self.dns != Dns():
            shape["dns"] = {key: value for key, value in self.dns._asdict().items() if value}
        return {"cniVersion": version, **shape}


def parse_result(document: JsonObject, where: str) -> Result:
    """Return the result that a document of any supported version holds.

    `where` prefixes keys in errors. Raises CniError (1 or 7).
    """
    version = versions.of_configuration(document.get("cniVersion"))
    fields = Fields(document, where)
    if not versions.at_least(version, "0.3.0"):
        return _parse_first_shape(fields)
    return Result(
        interfaces=tuple(_parse_interface(i, version) for i in fields.objects("interfaces")),
        ips=tuple(map(_parse_ip, fields.objects("ips"))),
        routes=parse_routes(fields),
        dns=parse_dns(fields),
    )


def parse_routes(fields: Fields) -> tuple[Route, ...]:
    """Return the routes listed under the key `routes`."""
    return tuple(
        Route(
            destination=_required(route, "dst", parse_network, "a destination like 0.0.0.0/0"),
            gateway=_parsed(route, "gw", parse_address, "an IP address"),
            mtu=route.integer("mtu", 0, _MAX_U32),
            advmss=route.integer("advmss", 0, _MAX_U32),
            priority=route.integer("priority", 0, _MAX_U32),
            table=route.integer("table", 0, _MAX_U32),
            scope=route.integer("scope", 0, 255),
        )
        for route in fields.objects("routes")
    )


def parse_dns(fields: Fields) -> Dns:
    """Return the name resolution given under the key `dns`."""
    dns = fields.object("dns")
    if dns is None:
        return Dns()
    return Dns(
        dns.texts("nameservers"),
        dns.text("domain") or "",
        dns.texts("search"),
        dns.texts("options"),
    )


def _parsed(
    fields: Fields, key: str, parse: Callable[[str], _Parsed], right: str
) -> _Parsed | None:
    text = fields.text(key)
    if not text:  # Go plugins write an absent gateway as ""
        return None
    try:
        return parse(text)
    except ValueError:
        raise fields.error_for(key, right) from None


def _required(fields: Fields, key: str, parse: Callable[[str], _Parsed], right: str) -> _Parsed:
    value = _parsed(fields, key, parse, right)
    if value is None:
        raise fields.error_for(key, right)
    return value


def _parse_interface(fields: Fields, version: str) -> Interface:
    known: tuple[str, ...] = ("name", "mac", "sandbox")
    if versions.at_least(version, "1.1.0"):
        known += ("mtu", "pciID")
    return Interface(
        name=fields.text("name") or "",
        mac=fields.text("mac") or "",
        sandbox=fields.text("sandbox") or "",
        mtu=fields.integer("mtu", 0, _MAX_U32),
        pci_id=fields.text("pciID") or "",
        others={key: value for key, value in fields.values.items() if key not in known},
    )


def _parse_ip(fields: Fields) -> Ip:
    return Ip(
        address=_required(fields, "address", parse_network, "an address like 10.0.0.5/24"),
        gateway=_parsed(fields, "gateway", parse_address, "an IP address"),
        interface=fields.integer("interface", 0, _MAX_U32),
    )


def _parse_first_shape(fields: Fields) -> Result:
    ips: list[Ip] = []
    routes: list[Route] = []
    for key in ("ip4", "ip6"):
        family = fields.object(key)
        if family is not None:
            ips.append(
                Ip(
                    _required(family, "ip", parse_network, "an address like 10.0.0.5/24"),
                    _parsed(family, "gateway", parse_address, "an IP address"),
                )
            )
            routes += parse_routes(family)
    return Result(ips=tuple(ips), routes=tuple(routes), dns=parse_dns(fields))


def _first_shape(result: Result) -> JsonObject:
    shape: JsonObject = {}
    for key, family in (("ip4", 4), ("ip6", 6)):
        ip = next((ip for ip in result.ips if ip.address.version == family), None)
        if ip is not None:
            shape[key] = {
                "ip": str(ip.address),
                **({"gateway": str(ip.gateway)} if ip.gateway is not None else {}),
                "routes": [
                    _route_shape(route, "0.1.0")
                    for route in result.routes
                    if route.destination.version == family
                ],
            }
    return shape


def _current_shape(result: Result, version: str) -> JsonObject:
    shape: JsonObject = {}
    if result.interfaces:
        shape["interfaces"] = [_interface_shape(i, version) for i in result.interfaces]
    if result.ips:
        shape["ips"] = [_ip_shape(ip, version) for ip in result.ips]
    if result.routes:
        shape["routes"] = [_route_shape(route, version) for route in result.routes]
    return shape


def _interface_shape(interface: Interface, version: str) -> JsonObject:
    shape: JsonObject = {"name": interface.name, "mac": interface.mac, "sandbox": interface.sandbox}
    if versions.at_least(version, "1.1.0"):
        shape |= _present({"mtu": interface.mtu, "pciID": interface.pci_id or None})
    return {**interface.others, **{key: value for key, value in shape.items() if value != ""}}


def _ip_shape(ip: Ip, version: str) -> JsonObject:
    shape: JsonObject = {}
    if not versions.at_least(version, "1.0.0"):
        shape["version"] = str(ip.address.version)
    shape["address"] = str(ip.address)
    gateway = None if ip.gateway is None else str(ip.gateway)
    return shape | _present({"gateway": gateway, "interface": ip.interface})


def _route_shape(route: Route, version: str) -> JsonObject:
    shape: JsonObject = {"dst": str(route.destination)}
    if route.gateway is not None:
        shape["gw"] = str(route.gateway)
    if versions.at_least(version, "1.1.0"):
        shape |= _present(
            {
                "mtu": route.mtu,
                "advmss": route.advmss,
                "priority": route.priority,
                "table": route.table,
                "scope": route.scope,
            }
        )
    return shape


def _present(values: dict[str, Any]) -> JsonObject:
    return {key: value for key, value in values.items() if value is not None}


def previous_result(config: JsonObject) -> Result | None:
    """Return the configuration's `prevResult`, None if it has none; raise CniError (1 or 7)."""
    document = config.get("prevResult")
    if document is None:
        return None
    if not isinstance(document, dict):
        raise CniError(
            errors.INVALID_CONFIGURATION, "invalid prevResult", "prevResult is not an object"
        )
    version = config.get("cniVersion")  # libcni hands prevResult over in the version of the call
    return parse_result({"cniVersion": version, **document}, "prevResult.")

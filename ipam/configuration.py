# SPDX-License-Identifier: Apache-2.0
"""fixipam's configuration: subnets, pools, routes, and the addresses that are asked for."""

from typing import NamedTuple

from sriov_cni.cni import document, errors, log
from sriov_cni.cni.addresses import IPAddress, IPNetwork, parse_address, parse_network
from sriov_cni.cni.call import Call
from sriov_cni.cni.document import Fields
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Dns, Route, parse_dns, parse_routes

DEFAULT_DATA_DIRECTORY = "/var/lib/cni/fixipam"
RANGE_KEYS = ("subnet", "gateway", "rangeStart", "rangeEnd")
KEYS = ("type", *RANGE_KEYS, "ranges", "routes", "dns", "dataDir")


class Range(NamedTuple):
    """A subnet; `first` and `last` are the ends of its pool, None if it has none."""

    subnet: IPNetwork
    gateway: IPAddress | None
    first: IPAddress | None
    last: IPAddress | None

    def why_not(self, address: IPAddress) -> str | None:
        """Say why an address cannot be granted from this range, or None if it can."""
        if address not in self.subnet:
            return f"it is not in {self.subnet}"
        if address == self.gateway:
            return "it is the gateway's"
        lowest, highest = _usable(self.subnet)
        if address < lowest:
            return f"it is the network address of {self.subnet}"
        if address > highest:
            return f"it is the broadcast address of {self.subnet}"
        return None


class Configuration(NamedTuple):
    """A network's address plan: per set of ranges, an attachment gets an address."""

    ranges: tuple[tuple[Range, ...], ...]
    routes: tuple[Route, ...]
    dns: Dns
    data_directory: str


def parse(call: Call) -> Configuration:
    """Return the configuration under the key `ipam`; raise CniError (7) if it is invalid."""
    ipam = _checked(_ipam(call), KEYS)
    ranges = tuple(tuple(map(_range, group)) for group in _range_groups(ipam))
    routes = parse_routes(ipam)
    if any(r.gateway is not None and r.gateway.version != r.destination.version for r in routes):
        raise ipam.error_for("routes", "routes with dst and gw of one IP version")
    return Configuration(ranges, routes, parse_dns(ipam), _data_directory(ipam))


def data_directory(call: Call) -> str:
    """Return where leases are kept, all that DEL and GC must know."""
    ipam = _ipam(call)
    return _data_directory(ipam._replace(values=document.respelt(ipam.values, KEYS)[0]))


def _data_directory(ipam: Fields) -> str:
    return ipam.path("dataDir") or DEFAULT_DATA_DIRECTORY


def requested(call: Call, config: Configuration) -> tuple[tuple[Range, IPAddress], ...]:
    """Return the addresses asked for, each with the range that can grant it.

    Asked for in runtimeConfig.ips, else args.cni.ips, else IP in CNI_ARGS; "address" or
    "address/prefix". Raises CniError (110) for an address that no range can grant.
    """
    runtime, pod, arguments = (place.texts("ips") for place in call.requests())
    texts = runtime or pod or arguments
    granting = (_granting_range(text.strip(), config) for text in texts if text.strip())
    return tuple({address: (range_, address) for range_, address in granting}.values())


def _ipam(call: Call) -> Fields:
    ipam = call.fields.object("ipam")
    if ipam is None:
        raise call.fields.error_for("ipam", 'an object like {"type": "fixipam", "subnet": ...}')
    return ipam


def _checked(fields: Fields, known: tuple[str, ...]) -> Fields:
    """Return fields with their keys in the known case; warn of these, and of unknown keys."""
    values, taken = document.respelt(fields.values, known)
    for key, right in taken.items():
        name = f"{fields.where}{key}"
        log.write("warning", f"key {name} is taken for {right}: correct its spelling")
    for key in fields.values:
        if key not in known and key not in taken:
            name = f"{fields.where}{key}"
            log.write("warning", f"key {name} is unknown to fixipam and ignored")
    return fields._replace(values=values)


def _range_groups(ipam: Fields) -> list[tuple[Fields, ...]]:
    """Return the sets of ranges: the items of `ranges`, or the one range that `subnet` gives.

    An item may be a list of ranges, as host-local's are.
    """
    listed = ipam.values.get("ranges")
    if listed is None:
        return [(ipam,)]
    if ipam.values.get("subnet") is not None:
        raise ipam.error_for("subnet", "absent where ranges is given")
    if not isinstance(listed, list) or not listed:
        raise ipam.error_for("ranges", "a list of objects like {subnet, gateway}")
    groups = []
    for place, item in enumerate(listed):
        group = item if isinstance(item, list) else [item]
        if not group or not all(isinstance(part, dict) for part in group):
            raise ipam.error_for("ranges", "a list of objects like {subnet, gateway}")
        parts = (Fields(part, f"{ipam.where}ranges[{place}].", ipam.code) for part in group)
        groups.append(tuple(_checked(part, RANGE_KEYS) for part in parts))
    return groups


def _range(fields: Fields) -> Range:
    subnet = _parse_subnet(fields)
    gateway = _address(fields, "gateway", subnet)
    first, last = _address(fields, "rangeStart", subnet), _address(fields, "rangeEnd", subnet)
    if first is not None or last is not None:
        lowest, highest = _usable(subnet)
        first, last = first or lowest, last or highest
        if not lowest <= last <= highest:
            raise fields.error_for("rangeEnd", f"an address from {lowest} to {highest}")
        if not lowest <= first <= last:
            raise fields.error_for("rangeStart", f"an address from {lowest} to {last}")
    return Range(subnet, gateway, first, last)


def _parse_subnet(fields: Fields) -> IPNetwork:
    try:
        subnet = parse_network(fields.text("subnet") or "")
    except ValueError:
        raise fields.error_for("subnet", "a network like 10.55.206.0/26") from None
    if subnet.ip != subnet.network:
        raise fields.error_for("subnet", f"a network's own address, {subnet.cidr}")
    return subnet


def _address(fields: Fields, key: str, subnet: IPNetwork) -> IPAddress | None:
    text = fields.text(key)
    if not text:
        return None
    try:
        address = parse_address(text)
    except ValueError:
        address = None
    if address is None or address.version != subnet.version:
        raise fields.error_for(key, f"an IPv{subnet.version} address, as {subnet} is")
    return address


def _usable(subnet: IPNetwork) -> tuple[IPAddress, IPAddress]:
    """Return the lowest and highest address a host may have.

    Not the network's own, which in IPv6 is the routers' anycast address (RFC 4291, 2.6.1), and not
    IPv4's broadcast address; networks of one or two addresses have neither (RFC 3021, RFC 6164).
    """
    if subnet.size <= 2:
        return IPAddress(subnet.first, subnet.version), IPAddress(subnet.last, subnet.version)
    highest = subnet.last - (1 if subnet.version == 4 else 0)
    return IPAddress(subnet.first + 1, subnet.version), IPAddress(highest, subnet.version)


def _granting_range(text: str, config: Configuration) -> tuple[Range, IPAddress]:
    try:
        wanted = parse_network(text) if "/" in text else None
        address = parse_address(text) if wanted is None else wanted.ip
    except ValueError as error:
        raise _refused(text, f"{error}; it must be like 10.55.206.46 or 10.55.206.46/26") from None
    ranges = [range_ for group in config.ranges for range_ in group]
    reasons = [range_.why_not(address) for range_ in ranges]
    for range_, reason in zip(ranges, reasons, strict=True):
        if reason is None:
            if wanted is not None and wanted.prefixlen != range_.subnet.prefixlen:
                raise _refused(text, f"its subnet is {range_.subnet}: leave the prefix out")
            return range_, address
    inside = [why for r, why in zip(ranges, reasons, strict=True) if address in r.subnet]
    raise _refused(text, "; ".join(filter(None, inside or reasons)))


def _refused(text: str, reason: str) -> CniError:
    return CniError(errors.ADDRESS_REFUSED, f"address {text!r:.60} refused", reason)

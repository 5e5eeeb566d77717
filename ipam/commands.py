# SPDX-License-Identifier: Apache-2.0
"""fixipam's commands (specification, section 4, "Plugin Delegation")."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ipam import configuration
from ipam.configuration import Configuration, Range
from ipam.leases import Leases
from sriov_cni.cni import errors
from sriov_cni.cni.addresses import IPAddress, IPNetwork, parse_address
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.owner import Owner
from sriov_cni.cni.result import Ip, Result, previous_result

Granted = tuple[Range, IPAddress]


class Plan(NamedTuple):
    """A network's configuration, and the addresses that an ADD asks for."""

    config: Configuration
    wanted: tuple[Granted, ...]


def plan(call: Call) -> Plan:
    """Return the plan of an ADD.

    Raises CniError for a configuration or a request that is refused whatever is leased.
    """
    config = configuration.parse(call)
    wanted = configuration.requested(call, config)
    if not wanted and not any(range_.first for group in config.ranges for range_ in group):
        raise CniError(
            errors.ADDRESS_REFUSED,
            "no address asked for",
            "ask for one (runtimeConfig.ips, args.cni.ips or IP= in CNI_ARGS), or open a pool with "
            "rangeStart and rangeEnd",
        )
    return Plan(config, wanted)


def add(call: Call) -> Result:
    """Lease the addresses asked for, and a free one of each pool not asked."""
    return grant(call, plan(call))


def grant(call: Call, planned: Plan) -> Result:
    """Lease the addresses of a plan."""
    config, wanted = planned
    leases = Leases(config.data_directory, call.network, create=True)
    with leases.locked():
        owners = leases.owners()
        for _, address in wanted:
            _refuse_taken(address, owners.get(str(address)), call)
        granted = _with_pools(config, wanted, leases, owners, call.owner)
        for _, address in granted:
            if str(address) not in owners:
                leases.grant(str(address), call.owner)
    return Result(
        ips=tuple(
            Ip(IPNetwork(f"{address}/{range_.subnet.prefixlen}"), range_.gateway)
            for range_, address in granted
        ),
        routes=config.routes,
        dns=config.dns,
    )


def delete(call: Call) -> None:
    """Release all the attachment's leases in this network; having none is no error."""
    leases = Leases.existing(configuration.data_directory(call), call.network)
    _release(leases, lambda owner: owner == call.owner)


def check(call: Call) -> None:
    """Raise CniError (105) if an address of prevResult is not leased to the attachment."""
    config = configuration.parse(call)
    previous = previous_result(call.config)
    if previous is None:
        raise call.fields.error_for("prevResult", "the result of the ADD to check")
    leases = Leases.existing(config.data_directory, call.network)
    owners = leases.owners() if leases is not None else {}
    ranges = [range_ for group in config.ranges for range_ in group]
    missing = [
        str(ip.address.ip)
        for ip in previous.ips
        if any(ip.address.ip in range_.subnet for range_ in ranges)
        and owners.get(str(ip.address.ip)) != call.owner
    ]
    if missing or call.owner not in owners.values():
        raise CniError(
            errors.NOT_AS_ADDED,
            f"container {call.owner.container_id} lacks leases",
            f"not leased to its {call.owner.ifname}: {', '.join(missing) or 'any address'}",
        )


def collect(call: Call) -> None:
    """GC: release the leases of every attachment not on the runtime's list."""
    valid = call.valid_attachments()
    leases = Leases.existing(configuration.data_directory(call), call.network)
    _release(leases, lambda owner: owner not in valid)


def status(call: Call) -> None:
    """Raise CniError (50) if no address can ever be granted; used-up pools are no failure.

    They fill again, and a runtime that is told otherwise takes the node out of service.
    """
    config = configuration.parse(call)
    try:
        Leases(config.data_directory, call.network, create=True).require_writable()
    except CniError as error:
        raise CniError(errors.NOT_AVAILABLE, error.msg, error.details) from None


def _refuse_taken(address: IPAddress, owner: Owner | None, call: Call) -> None:
    if owner not in (None, call.owner):
        raise CniError(
            errors.TRY_AGAIN_LATER,
            f"address {address} is taken",
            f"in network {call.network} it is leased to {owner} until its DEL",
        )


def _with_pools(
    config: Configuration,
    wanted: Sequence[Granted],
    leases: Leases,
    owners: Mapping[str, Owner],
    owner: Owner,
) -> list[Granted]:
    """Return `wanted` and an address from every set of ranges with a pool that was not asked.

    An address the owner has from an earlier ADD is granted again rather than another one.
    """
    granted = list(wanted)
    for group in config.ranges:
        if any(range_ in group for range_, _ in wanted) or not any(r.first for r in group):
            continue
        own = (address for address, other in owners.items() if other == owner)
        held = [found for found in _in_pools(group, own) if found not in granted]
        taken = {*owners, *(str(address) for _, address in granted)}
        found = held[0] if held else _next_free(group, taken, leases.released())
        if found is None:
            raise _exhausted(group)
        granted.append(found)
    return granted


def _in_pools(group: Iterable[Range], addresses: Iterable[str]) -> Iterator[Granted]:
    """Yield the addresses that are in a set's pools; texts that are no address are left out."""
    for text in addresses:
        try:
            address = parse_address(text)
        except ValueError:  # a file or a line that is not fixipam's
            continue
        for range_ in group:
            if range_.first is not None and range_.first <= address <= range_.last:
                yield range_, address


def _next_free(
    group: Iterable[Range], taken: Collection[str], released: Sequence[str]
) -> Granted | None:
    """Return the lowest address that was never leased, or else the one released longest ago.

    The latest owner's MAC may still be in its peers' neighbour tables.
    """
    unused = _lowest_free(group, {*taken, *released})
    if unused is not None:
        return unused
    for range_, address in _in_pools(group, released):
        if address != range_.gateway and str(address) not in taken:
            return range_, address
    return None


def _lowest_free(group: Iterable[Range], taken: Collection[str]) -> Granted | None:
    for range_ in group:
        if range_.first is None or range_.last is None:
            continue
        for value in range(int(range_.first), int(range_.last) + 1):
            address = IPAddress(value, range_.subnet.version)
            if address != range_.gateway and str(address) not in taken:
                return range_, address
    return None


def _exhausted(group: Iterable[Range]) -> CniError:
    pools = ", ".join(f"{r.first} to {r.last}" for r in group if r.first)
    return CniError(errors.TRY_AGAIN_LATER, "no free address", f"all of {pools} are leased")


def _release(leases: Leases | None, unwanted: Callable[[Owner], bool]) -> None:
    if leases is None:
        return
    with leases.locked():
        for address, owner in leases.owners().items():
            if unwanted(owner):
                leases.release(address, owner)

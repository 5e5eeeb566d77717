# SPDX-License-Identifier: Apache-2.0
"""What policies want of this node: entries of `functions`, and `resources`.

As the operator does it (Apply() and mergeConfigs() in api/v1/helper.go, and in controllers/
createDevicePluginResource()): policies come in the order of their importance, and of one PF those
remain that do not meet in their VFs.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sriov_cni.cni.document import JsonObject
from sriov_node import ranges
from sriov_node.device_plugin import members
from sriov_node.fields import Findings
from sriov_node.preparation.facts import Pf
from sriov_node.ranges import Range
from sriovctl.importing.policy import VFIO, Policy

_LINK_TYPES = {"eth": "ether", "ib": "infiniband"}


class _Group(NamedTuple):
    """VFs of a PF that a policy is about."""

    policy: Policy
    indexes: tuple[Range, ...]


class _Card(NamedTuple):
    """What is wanted of a PF so far; `match` is for its entry."""

    match: JsonObject
    vfs: int
    mtu: int
    latest: Policy
    groups: tuple[_Group, ...]


def for_node(
    policies: Iterable[Policy], pfs: Iterable[Pf], prefix: str, findings: Findings
) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return functions and resources; findings get a warning for what is left out.

    `pfs` are those of this node, `prefix` is that of the resources.
    """
    there = sorted(pfs, key=lambda pf: pf.address)
    cards: dict[str, _Card] = {}
    resources: dict[str, JsonObject] = {}
    # the most important one comes last, and of equal ones the last by name
    for policy in sorted(policies, key=lambda policy: (-policy.priority, policy.name)):
        findings.resource = f"policy {policy.name}"
        if policy.selects_nothing:
            findings.warn("spec.nicSelector is empty, and selects no PF: left out")
            continue
        matches = list(_matches(policy, there, findings))
        for match in matches if policy.vfs else ():
            key = match.get("address") or match["pf"]
            cards[key] = _added(cards.get(key), match, policy, _names(match, there), findings)
        if matches and not policy.vfs:
            findings.warn(
                "spec.numVfs is 0, of which no entry of functions is made: "
                "sriovctl node reset takes VFs back"
            )
        if matches:
            _announce(resources, policy, matches, prefix, findings)
    functions = [_function(card, findings) for card in cards.values()]
    return functions, [_tidy(resource) for resource in resources.values()]


def _matches(policy: Policy, there: list[Pf], findings: Findings) -> Iterator[JsonObject]:
    """Yield how each PF is to be matched: those of this node, or else as the policy names them."""
    named = {item.pf for item in policy.pf_names}
    fitting = [
        pf
        for pf in there
        if policy.vendor in ("", pf.vendor)
        and policy.device in ("", pf.device)
        and (not policy.root_devices or pf.address in policy.root_devices)
        and (not named or named & set(pf.names))
    ]
    if fitting:
        known = {text for pf in fitting for text in (*pf.names, pf.address)}
        for missing in sorted((named | set(policy.root_devices)) - known):
            findings.warn(f"{missing} is no PF of this node that fits: left out")
        for pf in fitting:
            yield {"address": pf.address, **({"pf": pf.names[0]} if pf.names else {})}
        return
    kind = {"vendor": policy.vendor, "device": policy.device}
    more = {key: value for key, value in kind.items() if value}
    if len(named) == len(policy.root_devices) == 1:
        listed = [{"pf": policy.pf_names[0].pf, "address": policy.root_devices[0]}]
    elif named and policy.root_devices:
        findings.warn("no PF of this node fits spec.nicSelector: left out")
        return
    else:
        listed = [{"pf": name} for name in sorted(named)]
        listed += [{"address": address} for address in policy.root_devices]
    titles = ", ".join(match.get("pf") or match["address"] for match in listed)
    if listed:
        findings.warn(f"{titles}: no such PF is on this node; taken as it is named")
    else:
        findings.warn("no PF of this node fits spec.nicSelector: left out")
    yield from ({**match, **more} for match in listed)


def _names(match: JsonObject, there: list[Pf]) -> tuple[str, ...]:
    """Return the names that a policy may call a PF by."""
    pf = next((pf for pf in there if pf.address == match.get("address")), None)
    return pf.names if pf is not None else tuple(filter(None, [match.get("pf")]))


def _added(
    before: _Card | None,
    match: JsonObject,
    policy: Policy,
    names: tuple[str, ...],
    findings: Findings,
) -> _Card:
    """Return a PF with what a policy wants of it, which outranks those before."""
    item = next((item for item in policy.pf_names if item.pf in names), None)
    indexes = (item.ranges if item is not None else ()) or ((0, policy.vfs - 1),)
    group, title = _Group(policy, indexes), match.get("pf") or match["address"]
    if before is None:
        return _Card(match, policy.vfs, policy.mtu, policy, (group,))
    kept = []
    for other in before.groups:
        if other.policy.resource == policy.resource or _meet(other.indexes, indexes):
            findings.warn(f"it outranks policy {other.policy.name}, which gets no VFs of {title}")
        else:
            kept.append(other)
    vfs, mtu = policy.vfs, policy.mtu
    if kept or before.latest.priority == policy.priority:
        vfs, mtu = max(vfs, before.vfs), max(mtu, before.mtu)
    return _Card(match, vfs, mtu, policy, (group, *kept))


def _meet(some: Iterable[Range], others: tuple[Range, ...]) -> bool:
    return any(a[0] <= b[1] and b[0] <= a[1] for a in some for b in others)


def _function(card: _Card, findings: Findings) -> JsonObject:
    """Return the entry of a PF."""
    policy = card.latest
    findings.resource = f"policy {policy.name}"
    wanted: dict[str, Any] = {"match": card.match, "vfs": card.vfs}
    if card.mtu:
        wanted["mtu"] = card.mtu
    if policy.eswitch:
        wanted["eswitch"] = policy.eswitch
    reserved = sorted(
        range_ for group in card.groups if group.policy.vfio for range_ in group.indexes
    )
    for range_ in reserved:
        if range_[1] >= card.vfs:
            findings.warn(
                f"VFs {ranges.written([range_])} are named, but there are {card.vfs}: "
                "the others are left out"
            )
    there = [(first, min(last, card.vfs - 1)) for first, last in reserved if first < card.vfs]
    if there:
        wanted["drivers"] = {ranges.written(there): VFIO}
    if policy.externally_managed:
        wanted["externallyManaged"] = True
    return wanted


def _announce(
    resources: dict[str, JsonObject],
    policy: Policy,
    matches: list[JsonObject],
    prefix: str,
    findings: Findings,
) -> None:
    """Add a policy's selector to the resource of its name."""
    selector: dict[str, Any] = {}
    if policy.vendor:
        selector["vendors"] = [policy.vendor]
    if policy.pf_names:
        selector["pfNames"] = [members.written(item) for item in policy.pf_names]
    addresses = [match["address"] for match in matches if "address" in match]
    if policy.root_devices:
        selector["rootDevices"] = list(policy.root_devices)
    elif not policy.pf_names or (policy.device and addresses):
        # deviceID is the PF's, and of the VFs nobody knows it in advance
        selector["rootDevices"] = addresses
    elif policy.device:
        findings.warn("spec.nicSelector.deviceID is the PF's, and is left out of the resource")
    if policy.link_type and not policy.vfio:
        selector["linkTypes"] = [_LINK_TYPES[policy.link_type]]
    if policy.rdma:
        selector["isRdma"] = True
    if policy.vhost_net:
        selector["needVhostNet"] = True
    resource = resources.setdefault(
        policy.resource,
        {"resourceName": policy.resource, "resourcePrefix": prefix, "selectors": []},
    )
    if selector not in resource["selectors"]:
        resource["selectors"].append(selector)
    if resource.get("excludeTopology", policy.exclude_topology) != policy.exclude_topology:
        findings.warn("spec.excludeTopology differs from that of a policy for the same resource")
    resource["excludeTopology"] = policy.exclude_topology


def _tidy(resource: JsonObject) -> JsonObject:
    """Return a resource as somebody would write it."""
    selectors = resource["selectors"]
    resource["selectors"] = selectors[0] if len(selectors) == 1 else selectors
    return {key: value for key, value in resource.items() if value is not False}

# SPDX-License-Identifier: Apache-2.0
"""The device plugin's configuration: which resources the node has, of which devices.

The format is that of the established SR-IOV device plugin; docs/device-plugin.md is the reference
of every key. A fault spares the other resources. Nothing here looks at the node's devices.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from sriov_cni.cni.document import shown
from sriov_node import names, node_file
from sriov_node.device_plugin import members
from sriov_node.device_plugin.resource import Allocation, Resource, Selector
from sriov_node.fields import Fault, Fields, Findings, decode, fields
from sriov_node.inventory.device import ETHER, INFINIBAND

NET_DEVICE, SUB_FUNCTION = "netDevice", "auxNetDevice"
_CARRIER = "carrier"
_VIA = "device-plugin"
_ALL = "*"  # of additionalInfo: every device

DOCUMENT_KEYS = ("resourceList",)
RESOURCE_KEYS = (
    "resourceName",
    "resourcePrefix",
    "deviceType",
    "excludeTopology",
    "selectors",
    "additionalInfo",
    "allocation",
    "health",
    "via",
)
_SHARED_KEYS = (
    "vendors",
    "devices",
    "drivers",
    "pfNames",
    "rootDevices",
    "linkTypes",
    "isRdma",
    "needVhostNet",
)
_PCI_KEYS = ("pciAddresses", "acpiIndexes")
_AUXILIARY_KEYS = ("auxTypes",)
UNSERVED_KEYS = ("ddpProfiles", "pKeys", "vdpaType")
SELECTOR_KEYS = (*_SHARED_KEYS, *_PCI_KEYS, *_AUXILIARY_KEYS)
# What a configuration may call a driver that the PCI bus knows by another name.
_OTHER_NAMES = {
    "i40evf": "iavf",  # renamed in Linux 4.20
    "mlx4_ib": "mlx4_core",  # the RDMA driver, which sits on the PCI device's
    "mlx5_ib": "mlx5_core",
}
_RIGHT_DOCUMENT = "a JSON object with the key resourceList"


class Configuration(NamedTuple):
    """The resources that are to be served, in their order, and what is wrong with the others."""

    resources: tuple[Resource, ...] = ()
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()


def read(path: str, default_prefix: str) -> Configuration:
    """Return the configuration in a file; that it cannot be read is a fault, too."""
    try:
        content = node_file.read_bounded(path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        what = "missing" if missing else f"unreadable ({error.strerror})"
        return Configuration(faults=(Fault("", f"configuration {path}", what, _RIGHT_DOCUMENT),))
    return parse(content, default_prefix)


def parse(content: bytes, default_prefix: str) -> Configuration:
    """Return the configuration that a document is.

    `default_prefix` is for resources that name none.
    """
    findings = Findings()
    resources = tuple(_resources(content, default_prefix, findings))
    return Configuration(resources, tuple(findings.faults), tuple(findings.warnings))


def _resources(content: bytes, default_prefix: str, findings: Findings) -> Iterator[Resource]:
    """Yield the resources without a fault."""
    if len(content) > node_file.LARGEST:
        findings.fault("configuration", f"longer than {node_file.LARGEST} bytes", "shorter")
        return
    try:
        document = decode(content)
    except ValueError as error:
        findings.fault("configuration", f"not JSON ({error})", _RIGHT_DOCUMENT)
        return
    if not isinstance(document, dict):
        findings.fault("configuration", shown(document), _RIGHT_DOCUMENT)
        return
    top = fields(document, DOCUMENT_KEYS, "", findings)
    listed = top.values.get("resourceList")
    if not isinstance(listed, list):
        top.wrong("resourceList", "a list of resources, [] for none")
        return
    yield from resources_of(listed, "resourceList", default_prefix, {}, findings)


def resources_of(
    listed: list[Any],
    place: str,
    default_prefix: str,
    places: dict[str, str],
    findings: Findings,
) -> Iterator[Resource]:
    """Yield the resources of a list without a fault; `places` has those before them."""
    for index, values in enumerate(listed):
        findings.resource = f"{place}[{index}]"
        faults = len(findings.faults)
        resource = _resource(values, default_prefix, places, findings)
        if resource is not None and len(findings.faults) == faults:
            yield resource


def _resource(
    values: object, default_prefix: str, places: dict[str, str], findings: Findings
) -> Resource | None:
    """Return a resource, which means nothing if there are faults; None without a name.

    `places` has where the names of the resources before it stand.
    """
    if not isinstance(values, dict):
        findings.fault("resource", shown(values), "an object with resourceName and selectors")
        return None
    keys = (*RESOURCE_KEYS, *SELECTOR_KEYS, *UNSERVED_KEYS)
    given = fields(values, keys, "", findings)
    name = _full_name(given, default_prefix)
    if name is None:
        return None
    if name in places:
        given.wrong("resourceName", f"unlike that of {places[name]}, which is {name}, too")
        return None
    places[name], findings.resource = findings.resource, name
    if "-" in name:
        findings.warn(f"no shell can read {_variable(name)}, the variable that containers get")
    auxiliary = given.text("deviceType", _device_type, NET_DEVICE) == SUB_FUNCTION
    allocation = given.text("allocation", names.one_of("none", "packed", "balanced"), "none")
    given.text("via", names.one_of(_VIA), _VIA)
    return Resource(
        name=name,
        selectors=tuple(_selectors(given, auxiliary=auxiliary)),
        auxiliary=auxiliary,
        exclude_topology=given.boolean("excludeTopology"),
        additional_info=_additional_info(given, auxiliary=auxiliary),
        allocation=Allocation(allocation or "none"),
        watch_carrier=_CARRIER in given.texts("health", names.one_of(_CARRIER)),
    )


def _full_name(given: Fields, default_prefix: str) -> str | None:
    """Return prefix/name, None if either is wrong."""
    name = given.text("resourceName", names.resource_name)
    prefix = given.text("resourcePrefix", names.resource_prefix, default_prefix)
    return None if name is None or prefix is None else f"{prefix}/{name}"


def _variable(name: str) -> str:
    """Return the name of the environment variable with the IDs of a container's devices."""
    return "PCIDEVICE_" + name.replace("/", "_").replace(".", "_").upper()


def _device_type(text: str) -> str:
    if text == "accelerator":
        raise ValueError(f'"{NET_DEVICE}" or "{SUB_FUNCTION}": no others are served yet')
    return names.one_of(NET_DEVICE, SUB_FUNCTION)(text)


def _selectors(given: Fields, *, auxiliary: bool) -> Iterator[Selector]:
    """Yield the selectors: of one object, or of a list of them."""
    value = given.values.get("selectors")
    listed = [value] if isinstance(value, dict) else value
    if not isinstance(listed, list) or not listed or not all(isinstance(v, dict) for v in listed):
        given.wrong("selectors", "an object or a list of objects, {} for every network device")
        return
    # where the first releases of the established plugin had isRdma
    beside = {key: given.values[key] for key in given.values if key not in RESOURCE_KEYS}
    if beside:
        where = "stand in each selector" if len(listed) > 1 else "stand in selectors"
        given.findings.warn(f"{', '.join(beside)} beside selectors counts, but should {where}")
    for index, values in enumerate(listed):
        where = "selectors." if isinstance(value, dict) else f"selectors[{index}]."
        yield _selector({**beside, **values}, where, given.findings, auxiliary=auxiliary)


def _selector(
    values: Mapping[str, Any], where: str, findings: Findings, *, auxiliary: bool
) -> Selector:
    others, kind = (_PCI_KEYS, NET_DEVICE) if auxiliary else (_AUXILIARY_KEYS, SUB_FUNCTION)
    known = fields(values, (*SELECTOR_KEYS, *UNSERVED_KEYS), where, findings)
    given = known._replace(values={k: v for k, v in known.values.items() if k not in others})
    for key in known.values:
        if key in others:
            findings.warn(f"key {where}{key} is ignored: it is for deviceType {kind}")
    for key in UNSERVED_KEYS:
        if given.values.get(key):
            given.wrong(key, "absent: nothing is selected by it yet")
    return Selector(
        vendors=given.texts("vendors", names.hexadecimal),
        devices=given.texts("devices", names.hexadecimal),
        drivers=tuple(_drivers(given)),
        pci_addresses=given.texts("pciAddresses", names.pci_address),
        acpi_indexes=given.texts("acpiIndexes", names.plain),
        pf_names=given.texts("pfNames", partial(members.parse, read=names.plain)),
        root_devices=given.texts("rootDevices", partial(members.parse, read=names.pci_address)),
        link_types=given.texts("linkTypes", names.one_of(ETHER, INFINIBAND)),
        aux_types=given.texts("auxTypes", names.one_of("sf")),
        is_rdma=given.boolean("isRdma"),
        need_vhost_net=given.boolean("needVhostNet"),
    )


def _drivers(given: Fields) -> Iterator[str]:
    """Yield the drivers that are named, and what the PCI bus calls some of them."""
    drivers = given.texts("drivers", names.plain)
    yield from drivers
    for driver in drivers:
        other = _OTHER_NAMES.get(driver)
        if other is not None and other not in drivers:
            given.findings.warn(f"{given.where}drivers: {driver} is taken for {other}, too")
            yield other


def _additional_info(given: Fields, *, auxiliary: bool) -> dict[str, dict[str, str]]:
    """Return the texts for containers, by device ID."""
    by_device = given.values.get("additionalInfo")
    if by_device is not None and not isinstance(by_device, dict):
        given.wrong("additionalInfo", 'an object by PCI address, or "*" for all')
    read = names.plain if auxiliary else names.pci_address
    found: dict[str, dict[str, str]] = {}
    for key, texts in by_device.items() if isinstance(by_device, dict) else ():
        try:
            device = key if key == _ALL else read(key)
        except ValueError as error:
            right = f'it must be "{_ALL}" or {error}'
            given.findings.warn(f"key additionalInfo.{shown(key)} is no device, {right}")
            continue
        texts = {} if texts is None else texts
        if isinstance(texts, dict) and all(isinstance(text, str) for text in texts.values()):
            found[device] = found.get(device, {}) | texts
        else:
            given.findings.fault(f"additionalInfo.{device}", shown(texts), "an object of strings")
    return found

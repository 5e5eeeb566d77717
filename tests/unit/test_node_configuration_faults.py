# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a device plugin's configuration: it is said, and spares everything else."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sriov_node.device_plugin import configuration
from sriov_node.device_plugin.configuration import (
    DOCUMENT_KEYS,
    RESOURCE_KEYS,
    SELECTOR_KEYS,
    UNSERVED_KEYS,
    Configuration,
)
from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.node_file import LARGEST
from tests.assignments import broken_rules
from tests.values import VALUES

GOOD = {"resourceName": "good", "selectors": {}}
ADDRESS = "a PCI address like 0000:01:10.0 or 01:10.0"
HEXADECIMAL = "four hexadecimal digits like 8086"
NAME = "1 to 63 letters, digits, _ and -, the first and the last a letter or a digit"
PREFIX = "a DNS name in lower case like example.com"
KUBERNETES = "a name that Kubernetes does not keep for itself"
SELECTORS = "an object or a list of objects, {} for every network device"
DOCUMENT = "a JSON object with the key resourceList"
UNSERVED = "absent: nothing is selected by it yet"
PLAIN = "a name, without blanks around it"
RANGE = "an index like 7 or a range like 0-3 at character"
NO_SELECTORS: list[Any] = [[], "x", 0, [[]], [{}, None]]

# What a key says of a value that is wrong, with `selectors.` before the key of a selector.
WRONG: list[tuple[str, Any, str]] = [
    *(("resourceName", name, NAME) for name in ("", "a b", "a.b", "-a", "a_", "é", "x" * 64)),
    ("resourceName", 5, "a string"),
    *(("resourcePrefix", name, PREFIX) for name in ("Intel.com", "a_b", "a..b", "-a", "a/b", "é")),
    *(("resourcePrefix", name, KUBERNETES) for name in ("kubernetes.io", "x.kubernetes.io")),
    ("resourcePrefix", "requests.example.com", KUBERNETES),
    ("resourcePrefix", "a" * 64, PREFIX),
    ("resourcePrefix", "a." * 123 + "io", PREFIX),
    ("deviceType", "netdevice", '"netDevice" or "auxNetDevice"'),
    ("deviceType", 5, "a string"),
    ("deviceType", "accelerator", '"netDevice" or "auxNetDevice": no others are served yet'),
    ("excludeTopology", "true", "true or false"),
    ("allocation", "spread", '"none" or "packed" or "balanced"'),
    ("via", "dra", '"device-plugin"'),
    ("health", "carrier", "a list of strings"),
    ("additionalInfo", [], 'an object by PCI address, or "*" for all'),
    *(("selectors", value, SELECTORS) for value in NO_SELECTORS),
    ("selectors.vendors", "8086", "a list of strings"),
    ("selectors.isRdma", "yes", "true or false"),
    ("selectors.needVhostNet", 1, "true or false"),
    ("selectors.ddpProfiles", ["GTPv1-C/U IPv4/IPv6 payload"], UNSERVED),
    ("selectors.pKeys", ["0x1"], UNSERVED),
    ("selectors.vdpaType", "vhost", UNSERVED),
]
# The same for an item of a list.
WRONG_ITEMS: list[tuple[str, Any, str]] = [
    ("health", "link", '"carrier"'),
    *(("selectors.vendors", value, HEXADECIMAL) for value in ("", "808", "80860", "x086", "0x")),
    ("selectors.vendors", 8086, "a string"),
    ("selectors.vendors", None, "a string"),
    ("selectors.devices", "154c ", HEXADECIMAL),
    ("selectors.devices", "\u0661\u0661\u0661\u0661", HEXADECIMAL),
    *(("selectors.drivers", value, PLAIN) for value in ("", " iavf", "a\nb")),
    *(("selectors.pciAddresses", v, ADDRESS) for v in ("", "10.0", "0000:01:10.8", "../01:10.0")),
    ("selectors.acpiIndexes", 101, "a string"),
    ("selectors.linkTypes", "Ethernet", '"ether" or "infiniband"'),
    ("selectors.pfNames", "", PLAIN),
    ("selectors.pfNames", "#1", PLAIN),
    ("selectors.pfNames", "eth0#", f"{RANGE} 6"),
    ("selectors.pfNames", "eth0#0-3,x", f"{RANGE} 10"),
    ("selectors.pfNames", "eth0#0,,5", f"{RANGE} 8"),
    ("selectors.pfNames", "eth0#0, 5", f"{RANGE} 8"),
    ("selectors.pfNames", "eth0#0-3-5", f"{RANGE} 6"),
    ("selectors.pfNames", "eth0#1#2", f"{RANGE} 6"),
    ("selectors.pfNames", "eth0#-1", f"{RANGE} 6"),
    ("selectors.pfNames", "eth0#" + "9" * 5000, f"{RANGE} 6"),
    ("selectors.pfNames", "eth0#7,5-3", "3-5 at character 8: the lower index first"),
    ("selectors.rootDevices", "eth0#1", ADDRESS),
    ("selectors.rootDevices", "01:00.0#a", f"{RANGE} 9"),
]


def parsed(*resources: Any) -> Configuration:
    document = json.dumps({"resourceList": resources})
    return configuration.parse(document.encode(), "intel.com")


def with_value(key: str, value: Any) -> dict[str, Any]:
    holder, dot, inner = key.rpartition(".")
    resource = {"resourceName": "net", "selectors": {}}
    return resource | ({holder: {inner: value}} if dot else {key: value})


def only_fault(resource: Any) -> str:
    """Return the only fault of a resource that stands before one that is right."""
    found = parsed(resource, GOOD)
    assert found.resources == (Resource("intel.com/good", (Selector(),)),)
    (fault,) = found.faults
    return str(fault)


def quoted(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


@pytest.mark.parametrize(("key", "value", "right"), WRONG)
def test_a_wrong_value_is_named_with_what_would_be_right(key: str, value: Any, right: str) -> None:
    named = "resourceList[0]" if key in ("resourceName", "resourcePrefix") else "intel.com/net"
    shown = "missing" if value == "" else quoted(value)
    assert only_fault(with_value(key, value)) == f"{named}: {key} is {shown}, it must be {right}"


@pytest.mark.parametrize(("key", "value", "right"), WRONG_ITEMS)
def test_a_wrong_item_is_named_with_its_place(key: str, value: Any, right: str) -> None:
    good = {"health": "carrier", "selectors.linkTypes": "ether"}.get(key)
    values, place = ([value], 0) if good is None else ([good, value], 1)
    said = f"intel.com/net: {key}[{place}] is {quoted(value)}, it must be {right}"
    assert only_fault(with_value(key, values)) == said


@pytest.mark.parametrize("resource", [None, 5, "net", [], [GOOD]])
def test_a_resource_that_is_no_object_is_named_by_its_place(resource: Any) -> None:
    said = (
        f"resource is {json.dumps(resource)}, it must be an object with resourceName and selectors"
    )
    assert only_fault(resource) == f"resourceList[0]: {said}"


def test_a_resource_without_name_or_selectors_is_none() -> None:
    assert "resourceName is missing, it must be 1 to 63" in only_fault({"selectors": {}})
    said = f"intel.com/net: selectors is missing, it must be {SELECTORS}"
    assert only_fault({"resourceName": "net"}) == said


def test_a_fault_in_a_list_of_selectors_is_named_by_its_place() -> None:
    selectors = [{}, {"pfNames": ["eth0", "eth1#a"]}]
    said = f'selectors[1].pfNames[1] is "eth1#a", it must be {RANGE} 6'
    assert only_fault(with_value("selectors", selectors)) == f"intel.com/net: {said}"


def test_a_fault_of_additional_info_is_named_by_its_device() -> None:
    said = 'additionalInfo.0000:01:10.0 is {"a": 1}, it must be an object of strings'
    resource = with_value("additionalInfo", {"01:10.0": {"a": 1}})
    assert only_fault(resource) == f"intel.com/net: {said}"


def test_all_faults_of_a_resource_are_told_at_once() -> None:
    found = parsed(with_value("selectors", {"vendors": ["x"], "isRdma": 1}) | {"via": "x"})
    assert [fault.key for fault in found.faults] == [
        "via",
        "selectors.vendors[0]",
        "selectors.isRdma",
    ]
    assert {fault.resource for fault in found.faults} == {"intel.com/net"}


def test_a_wrong_default_prefix_is_told_where_it_is_used() -> None:
    content = json.dumps({"resourceList": [GOOD]}).encode()
    (fault,) = configuration.parse(content, "Intel").faults
    assert str(fault) == f'resourceList[0]: resourcePrefix is "Intel", it must be {PREFIX}'


def test_of_resources_with_one_name_the_first_is_served() -> None:
    found = parsed(GOOD | {"excludeTopology": True}, GOOD)
    assert [resource.exclude_topology for resource in found.resources] == [True]
    said = "unlike that of resourceList[0], which is intel.com/good, too"
    assert list(map(str, found.faults)) == [
        f'resourceList[1]: resourceName is "good", it must be {said}'
    ]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("vendor", "key selectors.vendor is unknown and ignored: is vendors meant?"),
        ("pfNmaes", "key selectors.pfNmaes is unknown and ignored: is pfNames meant?"),
        ("colour", "key selectors.colour is unknown and ignored"),
        ("a\nb", 'key selectors."a\\nb" is unknown and ignored'),
        ("auxTypes", "key selectors.auxTypes is ignored: it is for deviceType auxNetDevice"),
    ],
)
def test_an_unknown_key_is_told_and_spares_the_resource(key: str, said: str) -> None:
    found = parsed(with_value(f"selectors.{key}", ["x"]))
    assert [resource.name for resource in found.resources] == ["intel.com/net"]
    assert found.faults == ()
    assert found.warnings == (f"intel.com/net: {said}",)


@pytest.mark.parametrize("key", ["pciAddresses", "acpiIndexes"])
def test_a_key_for_pci_devices_is_ignored_for_sub_functions(key: str) -> None:
    found = parsed(with_value(f"selectors.{key}", [5]) | {"deviceType": "auxNetDevice"})
    assert found.resources[0].selectors == (Selector(),)
    said = f"key selectors.{key} is ignored: it is for deviceType netDevice"
    assert found.warnings == (f"intel.com/net: {said}",)


def test_additional_info_of_what_is_no_device_is_told_and_spares_the_resource() -> None:
    found = parsed(with_value("additionalInfo", {"eth0": {"a": "b"}, "*": {}}))
    said = f'key additionalInfo."eth0" is no device, it must be "*" or {ADDRESS}'
    assert found.warnings == (f"intel.com/net: {said}",)
    assert found.resources[0].additional_info == {"*": {}}


def test_a_name_that_no_shell_can_read_is_told() -> None:
    found = parsed(GOOD | {"resourceName": "sriov-net"})
    assert found.resources[0].name == "intel.com/sriov-net"
    said = "no shell can read PCIDEVICE_INTEL_COM_SRIOV-NET, the variable that containers get"
    assert found.warnings == (f"intel.com/sriov-net: {said}",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "configuration is not JSON (Expecting value: line 1 column 1 (char 0))"),
        (b'{"resourceList": [],}', "configuration is not JSON (Expecting property name"),
        (b'{"resourceList": [NaN]}', "configuration is not JSON (NaN is not JSON)"),
        (b"[" * 100_000, "configuration is not JSON (nested too deeply)"),
        (b"[]", f"configuration is [], it must be {DOCUMENT}"),
        (b"null", f"configuration is null, it must be {DOCUMENT}"),
        (b" " * (LARGEST + 1), f"configuration is longer than {LARGEST} bytes, it must be shorter"),
        (b"{}", "resourceList is missing, it must be a list of resources, [] for none"),
        (b'{"resourceList": null}', "resourceList is missing, it must be a list of resources"),
        (b'{"resourceList": {}}', "resourceList is {}, it must be a list of resources"),
    ],
)
def test_what_is_no_configuration_is_said_to_be_none(content: bytes, said: str) -> None:
    found = configuration.parse(content, "intel.com")
    assert found.resources == ()
    (fault,) = found.faults
    assert str(fault).startswith(said)
    assert fault.resource == ""


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    missing = configuration.read(str(path), "intel.com")
    assert list(map(str, missing.faults)) == [
        f"configuration {path} is missing, it must be {DOCUMENT}"
    ]
    path.mkdir()
    (fault,) = configuration.read(str(path), "intel.com").faults
    assert "is unreadable (Is a directory), it must be" in str(fault)


def test_no_file_is_read_further_than_it_may_be_long() -> None:
    (fault,) = configuration.read("/dev/zero", "intel.com").faults
    assert "is longer than" in str(fault)


keys = st.sampled_from(
    (
        *DOCUMENT_KEYS,
        *RESOURCE_KEYS,
        *SELECTOR_KEYS,
        *UNSERVED_KEYS,
        "*",
        "01:10.0",
        "x\n",
        "\ud800",
    )
)
leaves = st.sampled_from(
    (*VALUES, "net", "8086", "eth0#0-3", "eth0#1-x", "auxNetDevice", "packed", "carrier", "*")
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6)
)
resources = st.fixed_dictionaries(
    {"resourceName": st.sampled_from(("net", "sriov")) | leaves, "selectors": trees},
    optional=dict.fromkeys((*RESOURCE_KEYS[1:4], "additionalInfo", *SELECTOR_KEYS), trees),
)
documents = trees | st.fixed_dictionaries({"resourceList": st.lists(resources, max_size=3) | trees})


@given(documents)
@example({"resourceList": [{"resourceName": "net", "selectors": {"pfNames": ["\ud800"]}}]})
def test_whatever_a_document_says_is_served_or_told(document: Any) -> None:
    try:
        content = json.dumps(document).encode()
    except ValueError:
        return
    assert [*broken_rules(configuration.parse(content, "intel.com"))] == []


@given(st.binary(max_size=200))
def test_whatever_bytes_are_read_are_served_or_told(content: bytes) -> None:
    assert [*broken_rules(configuration.parse(content, "intel.com"))] == []

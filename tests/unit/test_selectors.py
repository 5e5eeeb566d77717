# SPDX-License-Identifier: Apache-2.0
"""Which devices a selector takes, and what it says of the others."""

import json
from typing import Any

import pytest

from sriov_node.device_plugin import configuration
from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.device_plugin.selectors import Refusal, taker
from sriov_node.inventory.device import Device
from tests.nics import infiniband_vf, pf, sub_function, vf

IN_A_GUEST = vf()._replace(pf=None, pf_names=(), number=None)


def resource(selectors: Any, **keys: Any) -> Resource:
    listed = [{"resourceName": "net", "selectors": selectors, **keys}]
    document = json.dumps({"resourceList": listed}).encode()
    (found,) = configuration.parse(document, "intel.com").resources
    return found


def takes(device: Device, **keys: Any) -> bool:
    kind = "auxNetDevice" if device.aux_type else "netDevice"
    return isinstance(taker(resource(keys, deviceType=kind), device), Selector)


def refusal(device: Device, **keys: Any) -> str:
    kind = "auxNetDevice" if device.aux_type else "netDevice"
    answer = taker(resource(keys, deviceType=kind), device)
    assert isinstance(answer, Refusal)
    assert answer.keys == (answer.text.partition(":")[0],)
    return answer.text


def test_a_selector_without_keys_takes_everything() -> None:
    assert all(map(takes, (pf(), vf(), infiniband_vf(), sub_function(), IN_A_GUEST)))


@pytest.mark.parametrize(
    "keys",
    [
        {"vendors": ["15b3", "8086"]},
        {"devices": ["154C"]},
        {"drivers": ["vfio-pci", "iavf"]},
        {"pciAddresses": ["01:10.3"]},
        {"pfNames": ["eth0"]},
        {"pfNames": ["ETH0#0-3"]},
        {"pfNames": ["uplink0#3"]},
        {"pfNames": ["eth0#0-1", "eth1", "eth0#3"]},
        {"pfNames": ["eth0#0,2-7,9"]},
        {"rootDevices": ["0000:01:00.0"]},
        {"rootDevices": ["01:00.0#1-3"]},
        {"linkTypes": ["ether", "infiniband"]},
        {"vendors": ["8086"], "devices": ["154c"], "drivers": ["iavf"], "pfNames": ["eth0#3"]},
    ],
)
def test_a_device_that_has_one_value_of_each_key_is_taken(keys: dict[str, Any]) -> None:
    assert takes(vf(3), **keys)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"vendors": ["15b3"]}, "vendors: vendor is 8086, wanted is 15b3"),
        ({"devices": ["10ed"]}, "devices: device is 154c, wanted is 10ed"),
        ({"drivers": ["vfio-pci"]}, "drivers: bound to iavf, wanted is vfio-pci"),
        (
            {"pciAddresses": ["01:10.4", "01:10.5"]},
            "pciAddresses: address is 0000:01:10.3, wanted is 0000:01:10.4 or 0000:01:10.5",
        ),
        ({"acpiIndexes": ["7"]}, "acpiIndexes: index is unknown, wanted is 7"),
        ({"pfNames": ["eth1"]}, "pfNames: VF 3 of eth0, wanted is eth1"),
        (
            {"pfNames": ["eth0#0-2,4", "eth1#3"]},
            "pfNames: VF 3 of eth0, wanted is eth0#0-2,4 or eth1#3",
        ),
        ({"pfNames": ["eth"]}, "pfNames: VF 3 of eth0, wanted is eth"),
        (
            {"rootDevices": ["0000:01:00.1"]},
            "rootDevices: VF 3 of 0000:01:00.0, wanted is 0000:01:00.1",
        ),
        ({"linkTypes": ["infiniband"]}, "linkTypes: link type is ether, wanted is infiniband"),
        ({"isRdma": True}, "isRdma: it has no RDMA device, wanted is one that has"),
        # the first key in the order of the Go device plugin, not in that of the file
        (
            {"linkTypes": ["infiniband"], "vendors": ["15b3"]},
            "vendors: vendor is 8086, wanted is 15b3",
        ),
    ],
)
def test_a_refusal_names_the_key_and_what_the_device_has(keys: dict[str, Any], said: str) -> None:
    assert refusal(vf(3), **keys) == said


def test_of_many_values_a_refusal_shows_some() -> None:
    addresses = [f"0000:02:{slot:02x}.0" for slot in range(20)]
    said = refusal(vf(), pciAddresses=addresses).partition("wanted is ")[2]
    assert said == ", ".join(addresses[:5]) + " or 15 others"


def test_rdma_devices_are_taken_where_they_are_wanted() -> None:
    assert takes(infiniband_vf(), isRdma=True, linkTypes=["infiniband"])
    assert takes(vf(), isRdma=False)
    assert not takes(infiniband_vf()._replace(rdma=()), isRdma=True)


def test_an_acpi_index_is_compared_as_text() -> None:
    assert takes(vf()._replace(acpi_index="101"), acpiIndexes=["7", "101"])


@pytest.mark.parametrize("device", [pf(), IN_A_GUEST], ids=["PF", "VF in a guest"])
@pytest.mark.parametrize(
    "keys", [{"pfNames": ["eth0", "uplink0"]}, {"rootDevices": ["0000:01:00.0"]}]
)
def test_what_is_no_vf_has_no_pf(device: Device, keys: dict[str, Any]) -> None:
    assert "it is part of no PF, wanted is" in refusal(device, **keys)


def test_a_pf_without_network_device_is_known_by_its_address() -> None:
    nameless = vf(3)._replace(pf_names=())
    assert takes(nameless, rootDevices=["01:00.0#3"])
    assert refusal(nameless, pfNames=["eth0"]) == ("pfNames: VF 3 of 0000:01:00.0, wanted is eth0")


def test_the_names_of_a_pf_are_compared_in_either_case() -> None:
    shouting = vf(3)._replace(pf_names=("ENS1F0", "Uplink"))
    assert takes(shouting, pfNames=["ens1f0#3"])
    assert takes(shouting, pfNames=["upLINK"])


def test_a_vf_whose_index_nobody_knows_is_none() -> None:
    assert not takes(vf()._replace(number=None), pfNames=["eth0"])


def test_without_ranges_every_number_is_meant() -> None:
    highest = (1 << 32) - 1
    assert takes(sub_function(highest), pfNames=["p0"])
    assert takes(sub_function(highest), pfNames=[f"p0#{highest}"])


def test_a_link_type_that_nobody_knows_is_none() -> None:
    said = "linkTypes: link type is unknown, wanted is ether"
    assert refusal(vf()._replace(link_type=None), linkTypes=["ether"]) == said


def test_a_sub_function_is_selected_by_its_pf_and_its_number() -> None:
    keys: dict[str, Any] = {"vendors": ["15b3"], "devices": ["a2d6"], "auxTypes": ["sf"]}
    assert takes(sub_function(88), **keys, pfNames=["p0#1-5,88"])
    assert takes(sub_function(88), **keys, rootDevices=["03:00.0#88"])
    said = "pfNames: sub-function 88 of p0, wanted is p0#1-5"
    assert refusal(sub_function(88), **keys, pfNames=["p0#1-5"]) == said


def test_a_resource_takes_either_pci_devices_or_sub_functions() -> None:
    on_pci, auxiliary = resource({}), resource({}, deviceType="auxNetDevice")
    assert taker(on_pci, sub_function()) == Refusal(
        ("deviceType",), "deviceType: it is a sub-function"
    )
    assert taker(auxiliary, vf()) == Refusal(("deviceType",), "deviceType: it is no sub-function")


def test_the_first_of_several_selectors_that_takes_a_device_counts() -> None:
    several = resource([{"drivers": ["vfio-pci"]}, {"needVhostNet": True}, {"vendors": ["8086"]}])
    assert taker(several, vf()) is several.selectors[1]
    assert taker(several, vf(driver="vfio-pci")) is several.selectors[0]


def test_of_several_selectors_each_says_why_it_refuses() -> None:
    several = resource([{"drivers": ["vfio-pci"]}, {"vendors": ["15b3"], "drivers": ["x"]}])
    assert taker(several, vf()) == Refusal(
        ("drivers", "vendors"),
        "selectors[0].drivers: bound to iavf, wanted is vfio-pci; "
        "selectors[1].vendors: vendor is 8086, wanted is 15b3",
    )

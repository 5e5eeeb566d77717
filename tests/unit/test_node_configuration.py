# SPDX-License-Identifier: Apache-2.0
"""The device plugin's configuration: what files for the Go device plugin mean, and what is wrong.

What each fault says is in test_node_configuration_faults.py.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sriov_node.device_plugin import configuration
from sriov_node.device_plugin.configuration import Configuration
from sriov_node.device_plugin.resource import Allocation, Members, Resource, Selector
from tests.documents import text

EXAMPLE = "conf/config.json.example"


def parsed(*resources: Any) -> Configuration:
    document = json.dumps({"resourceList": resources})
    return configuration.parse(document.encode(), "intel.com")


def resource(**keys: Any) -> Resource:
    """Return a resource that is right, and of which nothing is to be said."""
    found = parsed({"resourceName": "net", "selectors": {}, **keys})
    assert (found.faults, found.warnings) == ((), ())
    return found.resources[0]


def selector(**keys: Any) -> Selector:
    return resource(selectors=keys).selectors[0]


def test_the_four_resources_of_the_example_work_as_they_are_written() -> None:
    found = configuration.parse(text(EXAMPLE).encode(), "intel.com")
    intel = Selector(vendors=("8086",), devices=("154c", "10ed"))
    assert found.faults == ()
    assert found.resources == (
        Resource(
            "intel.com/intel_sriov_netdevice",
            (intel._replace(drivers=("i40evf", "ixgbevf", "iavf")),),
        ),
        Resource(
            "intel.com/intel_sriov_dpdk",
            (
                intel._replace(
                    drivers=("vfio-pci",), pf_names=(Members("enp0s0f0"), Members("enp2s2f1"))
                ),
            ),
        ),
        Resource(
            "intel.com/mlnx_sriov_rdma",
            (
                Selector(
                    vendors=("15b3",),
                    devices=("1018",),
                    drivers=("mlx5_ib", "mlx5_core"),
                    is_rdma=True,
                ),
            ),
        ),
        Resource(
            "intel.com/infiniband_rdma_netdevs",
            (Selector(link_types=("infiniband",), is_rdma=True),),
        ),
    )


def test_the_example_is_told_what_it_should_say_today() -> None:
    found = configuration.parse(text(EXAMPLE).encode(), "intel.com")
    beside = "isRdma beside selectors counts, but should stand in selectors"
    assert found.warnings == (
        "intel.com/intel_sriov_netdevice: selectors.drivers: i40evf is taken for iavf, too",
        f"intel.com/mlnx_sriov_rdma: {beside}",
        "intel.com/mlnx_sriov_rdma: selectors.drivers: mlx5_ib is taken for mlx5_core, too",
        f"intel.com/infiniband_rdma_netdevs: {beside}",
    )


def test_a_resource_has_the_defaults_of_the_go_device_plugin() -> None:
    assert resource() == Resource("intel.com/net", (Selector(),))


def test_every_key_is_understood() -> None:
    everything = {
        "vendors": ["8086"],
        "devices": ["154c"],
        "drivers": ["vfio-pci"],
        "pciAddresses": ["0000:01:10.0"],
        "acpiIndexes": ["101"],
        "pfNames": ["eth0#0-3,7"],
        "rootDevices": ["0000:01:00.0#1"],
        "linkTypes": ["ether"],
        "isRdma": True,
        "needVhostNet": True,
        "ddpProfiles": [],
        "pKeys": None,
        "vdpaType": "",
    }
    assert resource(
        resourcePrefix="example.com",
        deviceType="netDevice",
        excludeTopology=True,
        selectors=[everything, {}],
        additionalInfo={"*": {"token": "a"}, "0000:01:10.0": {"token": "b"}},
        allocation="packed",
        health=["carrier"],
        via="device-plugin",
    ) == Resource(
        "example.com/net",
        (
            Selector(
                vendors=("8086",),
                devices=("154c",),
                drivers=("vfio-pci",),
                pci_addresses=("0000:01:10.0",),
                acpi_indexes=("101",),
                pf_names=(Members("eth0", ((0, 3), (7, 7))),),
                root_devices=(Members("0000:01:00.0", ((1, 1),)),),
                link_types=("ether",),
                is_rdma=True,
                need_vhost_net=True,
            ),
            Selector(),
        ),
        exclude_topology=True,
        additional_info={"*": {"token": "a"}, "0000:01:10.0": {"token": "b"}},
        allocation=Allocation.PACKED,
        watch_carrier=True,
    )


def test_sub_functions_are_selected_by_their_own_keys() -> None:
    found = resource(
        deviceType="auxNetDevice",
        selectors={"pfNames": ["p0#1-5"], "auxTypes": ["sf"]},
        additionalInfo={"mlx5_core.sf.4": {"a": "b"}},
    )
    assert found.auxiliary
    assert found.selectors == (Selector(pf_names=(Members("p0", ((1, 5),)),), aux_types=("sf",)),)
    assert found.additional_info == {"mlx5_core.sf.4": {"a": "b"}}


def test_the_operators_files_are_worth_no_word() -> None:
    selectors = {"pfNames": ["ens785f0#0-4"], "IsRdma": True, "NeedVhostNet": False}
    found = parsed({"resourceName": "nics", "selectors": selectors, "SelectorObjs": None})
    assert (found.faults, found.warnings) == ((), ())
    assert found.resources[0].selectors[0].is_rdma


@pytest.mark.parametrize("written", ["154C", "0x154c", "0X154C"])
def test_identifiers_are_understood_however_they_are_written(written: str) -> None:
    assert selector(vendors=[written], devices=[written])[:2] == (("154c",), ("154c",))


@pytest.mark.parametrize("written", ["0000:0A:10.0", "0a:10.0"])
def test_addresses_are_understood_however_they_are_written(written: str) -> None:
    info = {written: {"a": "b"}}
    assert selector(pciAddresses=[written]).pci_addresses == ("0000:0a:10.0",)
    assert selector(rootDevices=[f"{written}#1"]).root_devices == (
        Members("0000:0a:10.0", ((1, 1),)),
    )
    assert resource(additionalInfo=info).additional_info == {"0000:0a:10.0": {"a": "b"}}


def test_every_item_of_one_pf_counts() -> None:
    names = ["eth0#0-1", "eth0#5"]
    assert selector(pfNames=names).pf_names == (
        Members("eth0", ((0, 1),)),
        Members("eth0", ((5, 5),)),
    )


def test_a_driver_under_both_its_names_is_worth_no_word() -> None:
    names = ["i40evf", "iavf", "ixgbevf"]
    assert selector(drivers=names).drivers == tuple(names)


def test_additional_info_of_one_device_adds_up_however_it_is_written() -> None:
    info = {"01:10.0": {"a": "1", "b": "1"}, "0000:01:10.0": {"b": "2"}, "*": None}
    assert resource(additionalInfo=info).additional_info == {
        "0000:01:10.0": {"a": "1", "b": "2"},
        "*": {},
    }


def test_half_a_surrogate_pair_becomes_what_go_makes_of_it() -> None:
    info = {"*": {"a\ud800": "\udc00b"}}
    assert resource(additionalInfo=info).additional_info == {"*": {"a\ufffd": "\ufffdb"}}


def test_absent_and_null_and_empty_are_the_same() -> None:
    nothing: dict[str, Any] = {"vendors": None, "devices": [], "isRdma": None}
    assert selector(**nothing) == Selector()
    empty = {"resourcePrefix": "", "deviceType": "", "additionalInfo": None, "health": None}
    assert resource(**empty, allocation="", via=None) == resource()


def test_a_resource_may_have_a_prefix_of_its_own() -> None:
    found = parsed(
        {"resourceName": "net", "selectors": {}},
        {"resourceName": "net", "resourcePrefix": "mellanox.com", "selectors": {}},
    )
    assert [(r.name, r.prefix, r.short_name) for r in found.resources] == [
        ("intel.com/net", "intel.com", "net"),
        ("mellanox.com/net", "mellanox.com", "net"),
    ]
    assert found.faults == ()


def test_no_resources_is_a_configuration_like_others() -> None:
    assert parsed() == Configuration()


def test_keys_in_another_case_are_meant_and_told() -> None:
    found = configuration.parse(
        b'{"ResourceList": [{"resourcename": "net", "Selectors": {"VENDORS": ["8086"]}}]}', "a.b"
    )
    assert found.resources == (Resource("a.b/net", (Selector(vendors=("8086",)),)),)
    assert found.faults == ()
    assert [warning.removesuffix(": correct its spelling") for warning in found.warnings] == [
        "key ResourceList is taken for resourceList",
        "resourceList[0]: key resourcename is taken for resourceName",
        "resourceList[0]: key Selectors is taken for selectors",
        "a.b/net: key selectors.VENDORS is taken for vendors",
    ]


def test_the_last_of_equal_keys_counts() -> None:
    found = parsed({"resourceName": "net", "selectors": {"vendors": ["8086"], "Vendors": ["15b3"]}})
    assert found.resources[0].selectors[0].vendors == ("15b3",)


def test_a_selectors_own_key_wins_over_the_one_beside_it() -> None:
    beside = {"needVhostNet": True, "ISRDMA": True}
    found = parsed({"resourceName": "net", **beside, "selectors": [{"isRdma": False}, {}]})
    assert found.resources[0].selectors == (
        Selector(need_vhost_net=True),
        Selector(is_rdma=True, need_vhost_net=True),
    )


def test_a_file_is_read_through_the_links_of_a_config_map(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "config.json").write_text(text(EXAMPLE))
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "config.json").symlink_to("..data/config.json")
    found = configuration.read(str(tmp_path / "config.json"), "intel.com")
    assert found == configuration.parse(text(EXAMPLE).encode(), "intel.com")


def test_a_byte_order_mark_and_broken_text_do_no_harm() -> None:
    content = b'\xef\xbb\xbf{"resourceList": [], "\xff": "\xff\\ud800"}'
    found = configuration.parse(content, "intel.com")
    assert (found.resources, found.faults) == ((), ())
    assert found.warnings == ('key "\\ufffd" is unknown and ignored',)


def test_of_many_unknown_keys_only_the_first_are_compared_with_the_known() -> None:
    keys = ",".join(f'"vendr{index:x}":0' for index in range(10_000))
    found = configuration.parse(f'{{"resourceList":[{{{keys}}}]}}'.encode(), "intel.com")
    assert len(found.warnings) == 10_000
    assert sum(" meant?" in warning for warning in found.warnings) == 100


def test_reading_waits_for_no_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    (fault,) = configuration.read(str(tmp_path / "config.json"), "intel.com").faults
    assert "is not JSON" in str(fault)

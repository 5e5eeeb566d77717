# SPDX-License-Identifier: Apache-2.0
"""Specifications for runtimes that put devices into containers themselves."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from sriov_node.device_plugin import cdi
from sriov_node.device_plugin.pool import Pool
from sriov_node.device_plugin.resource import Resource, Selector
from tests.functions import RESOURCE, Machine, pool, vf

FILE = "sriov-intel.com_sriov_net.json"


def specification(machine: Machine, offered: Pool) -> Any:
    return json.loads(cdi.specification(offered, machine.root)[FILE])


def test_each_device_has_its_nodes(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for index in range(2):
        machine.add(vf(index), "vfio-pci")
        machine.set_group(vf(index), index, "vfio-noiommu")
    spec = specification(machine, pool(vf(0), vf(1)))
    assert (spec["cdiVersion"], spec["kind"]) == ("0.5.0", "intel.com/sriov_net")
    assert [device["name"] for device in spec["devices"]] == [vf(0).id, vf(1).id]
    assert spec["devices"][1]["containerEdits"] == {
        "deviceNodes": [
            {"path": "/dev/vfio/vfio", "hostPath": "/dev/vfio/vfio", "permissions": "rw"},
            {"path": "/dev/vfio/1", "hostPath": "/dev/vfio/noiommu-1", "permissions": "rw"},
        ]
    }


def test_a_device_without_nodes_has_edits_all_the_same(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.add(vf(0))
    edits = specification(machine, pool(vf(0)))["devices"][0]["containerEdits"]
    assert edits == {"env": ["PCIDEVICE_INTEL_COM_SRIOV_NET_0000_01_10_0=0000:01:10.0"]}


def test_a_device_that_cannot_be_given_away_is_left_out(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.add(vf(0))
    machine.add(vf(1), "vfio-pci")  # in no group
    spec = specification(machine, pool(vf(0), vf(1), vf(2)))
    assert [device["name"] for device in spec["devices"]] == [vf(0).id]


def test_there_is_no_specification_without_devices(tmp_path: Path) -> None:
    assert cdi.specification(pool(), str(tmp_path)) == {}
    assert cdi.specification(pool(vf(0)), str(tmp_path)) == {}


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("intel.com/sriov_net", True),
        ("intel.com/a", True),
        ("intel.com/a-b_c", True),
        ("3com.com/net", False),
        ("intel.com/10g", False),
        ("intel.com/net_", False),
        ("intel.com/", False),
        ("intel.com/a.b", False),  # only from 0.6.0 on
    ],
)
def test_a_kind_begins_with_letters_and_ends_alphanumerically(name: str, *, possible: bool) -> None:
    assert cdi.is_kind(name) == possible


def test_what_kubelet_passes_on_is_a_qualified_name() -> None:
    name = cdi.device_name("intel.com/sriov_net", "0000:01:10.0")
    assert re.fullmatch(r"[a-z.]+/[a-z_]+=[0-9a-z:.]+", name)


def planted(directory: Path, name: str, content: str) -> None:
    (directory / name).write_text(content)


def test_specifications_of_earlier_runs_go_and_others_stay(tmp_path: Path) -> None:
    planted(tmp_path, "sriov-intel.com_old.json", '{"kind": "intel.com/old"}')
    planted(tmp_path, "sriov-intel.com_empty.json", '{"kind": "intel.com/empty"}')
    others = {
        FILE: '{"kind": "intel.com/sriov_net"}',
        "sriov-dp-nvidia.com_gpu.json": '{"kind": "nvidia.com/gpu"}',
        "sriov-.json": '{"kind": ["x"]}',
        "sriov-broken.json": "{",
        "sriov-list.json": "[]",
        "nvidia.json": '{"kind": "nvidia.com/gpu"}',
    }
    for name, content in others.items():
        planted(tmp_path, name, content)
    empty = Resource("intel.com/empty", (Selector(),))
    cdi.clean(str(tmp_path), [pool(vf(0), resource=RESOURCE), pool(resource=empty)])
    assert sorted(os.listdir(tmp_path)) == sorted(others)


def test_a_missing_directory_has_nothing_to_clean(tmp_path: Path) -> None:
    cdi.clean(f"{tmp_path}/cdi", [])
    assert os.listdir(tmp_path) == []

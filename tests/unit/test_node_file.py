# SPDX-License-Identifier: Apache-2.0
"""The node's files, and what they want of its PFs."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_node import node_file
from sriov_node.node_file import NodeFile, NodeFiles
from sriov_node.preparation import configuration
from sriov_node.preparation.wanted import KERNEL, Eswitch, Match, Reconcile, Wanted, WantedNode
from tests.values import VALUES

PLACE = "node.json: functions[0]"


def wanted_by(*functions: object, **more: object) -> WantedNode:
    values = {"functions": list(functions), **more}
    return configuration.wanted_by(NodeFiles((NodeFile("node.json", values),)))


def test_everything_that_can_be_wanted_of_a_pf() -> None:
    found = wanted_by(
        {
            "match": {"pf": "ens1f0", "address": "3B:00.0", "mac": "3C-FD-FE-00-00-01"},
            "vfs": 16,
            "mtu": 9000,
            "eswitch": "switchdev",
            "drivers": {"0-7": "kernel", "8-11,14": "vfio-pci"},
            "noIommu": True,
        },
        {
            "match": {"vendor": "0x8086", "device": "1592", "slot": "3"},
            "externallyManaged": True,
        },
        modules=["vhost_net", "vhost_net"],
        reconcile="free",
    )
    assert found == WantedNode(
        (
            Wanted(
                Match("ens1f0", "0000:3b:00.0", "3c:fd:fe:00:00:01"),
                PLACE,
                vfs=16,
                mtu=9000,
                eswitch=Eswitch.SWITCHDEV,
                drivers=((((0, 7),), KERNEL), (((8, 11), (14, 14)), "vfio-pci")),
                no_iommu=True,
            ),
            Wanted(
                Match(vendor="8086", device="1592", slot="3"),
                "node.json: functions[1]",
                externally_managed=True,
            ),
        ),
        modules=("vhost_net",),
        reconcile=Reconcile.FREE,
    )
    first = found.functions[0]
    assert [first.driver_of(n) for n in (0, 8, 13, 14)] == [KERNEL, "vfio-pci", KERNEL, "vfio-pci"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (3, "entry is 3, it must be an object with match and vfs"),
        ({"vfs": 2}, "match is missing, it must be an object that tells which PF is meant"),
        ({"match": {}}, "match is {}, it must be an object that tells which PF is meant"),
        ({"match": {"pf": 3}}, "match.pf is 3, it must be a string"),
        ({"match": {"address": "x"}}, 'match.address is "x", it must be a PCI address like'),
        ({"match": {"mac": "1"}}, 'match.mac is "1", it must be a MAC address like 3c:fd:fe:00:00'),
        ({"match": {"pf": "a"}, "vfs": -1}, "vfs is -1, it must be a whole number from 0 to 65535"),
        ({"match": {"pf": "a"}, "vfs": True}, "vfs is true, it must be a whole number"),
        ({"match": {"pf": "a"}, "mtu": 9}, "mtu is 9, it must be a whole number from 68 to 65535"),
        ({"match": {"pf": "a"}, "eswitch": "x"}, 'eswitch is "x", it must be "legacy" or "switch'),
        ({"match": {"pf": "a"}, "drivers": []}, "drivers is [], it must be an object of ranges"),
        (
            {"match": {"pf": "a"}, "drivers": {"7-3": "vfio-pci"}},
            'drivers is for "7-3", it must be for 3-7 at character 1: the lower index first',
        ),
        (
            {"match": {"pf": "a"}, "drivers": {"0": "../x"}},
            'drivers.0 is "../x", it must be "kernel" or a driver like "vfio-pci"',
        ),
        (
            {"match": {"pf": "a"}, "drivers": {"0-3": "vfio-pci", "3": "kernel"}},
            "drivers.3 is kernel, it must be for other VFs than 0-3's ranges",
        ),
        (
            {"match": {"pf": "a"}, "drivers": {"0-3,2": "vfio-pci"}},
            "drivers.0-3,2 is vfio-pci, it must be for other VFs than its own ranges",
        ),
        (
            {"match": {"pf": "a"}, "vfs": 4, "drivers": {"2-4": "vfio-pci"}},
            "drivers.2-4 is vfio-pci, it must be for VFs that there will be: with vfs 4, indexes",
        ),
    ],
)
def test_what_is_wrong_is_said_and_spares_the_other_entries(entry: object, says: str) -> None:
    found = wanted_by(entry, {"match": {"pf": "good"}, "vfs": 1})
    (fault,) = found.faults
    assert str(fault).startswith(f"{PLACE}: {says}")
    assert [each.match.pf for each in found.functions] == ["good"]


def test_misspelt_keys_are_warnings() -> None:
    found = wanted_by({"match": {"pf": "a", "adress": "b"}, "numVfs": 3}, Modules=[])
    assert found.faults == ()
    assert found.warnings == (
        "node.json: key Modules is taken for modules: correct its spelling",
        f"{PLACE}: key numVfs is unknown and ignored: is vfs meant?",
        f"{PLACE}: key match.adress is unknown and ignored: is address meant?",
    )


def test_files_add_up_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "node.d").mkdir()
    for name, pf in (("node.json", "a"), ("node.d/20.json", "c"), ("node.d/10.json", "b")):
        (tmp_path / name).write_text(json.dumps({"functions": [{"match": {"pf": pf}}]}))
    for name in ("10.json~", ".hidden.json", "README"):
        (tmp_path / "node.d" / name).write_text("no JSON")
    found = configuration.read(str(tmp_path))
    assert [each.match.pf for each in found.functions] == ["a", "b", "c"]
    assert found.functions[1].place == f"{tmp_path}/node.d/10.json: functions[0]"
    assert found.faults == ()


def test_a_node_without_files_wants_nothing(tmp_path: Path) -> None:
    assert configuration.read(str(tmp_path)) == WantedNode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[]", "is [], it must be a JSON object"),
        ("{", "is not JSON (Expecting property name"),
        (" " * (node_file.LARGEST + 1) + "{}", "is longer than 1048576 bytes"),
    ],
)
def test_a_file_that_is_none_spares_the_others(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "node.json").write_text(content)
    (tmp_path / "node.d").mkdir()
    (tmp_path / "node.d/a.json").write_text('{"functions": [{"match": {"pf": "a"}}]}')
    found = configuration.read(str(tmp_path))
    assert len(found.functions) == 1
    (fault,) = found.faults
    assert str(fault).startswith(f"file {tmp_path}/node.json {says}")


def test_a_fifo_in_the_place_of_a_file_does_not_hold_anybody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "node.json")
    (fault,) = configuration.read(str(tmp_path)).faults
    assert "not JSON" in str(fault)


ANY = st.sampled_from(VALUES)
ENTRY = st.dictionaries(st.sampled_from(configuration.FUNCTION_KEYS), ANY)


@given(
    st.fixed_dictionaries(
        {"functions": st.one_of(ANY, st.lists(ENTRY)), "modules": ANY, "reconcile": ANY}
    )
)
def test_whatever_a_file_holds_each_entry_is_read_or_a_fault(values: dict[str, object]) -> None:
    found = configuration.wanted_by(NodeFiles((NodeFile("node.json", values),)))
    for text in (*map(str, found.faults), *found.warnings):
        assert text.isprintable()
    if isinstance(values["functions"], list):
        assert len(found.functions) + len(found.faults) >= len(values["functions"])

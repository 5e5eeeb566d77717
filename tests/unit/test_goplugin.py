# SPDX-License-Identifier: Apache-2.0
"""The Go plugin's cache becomes records: translated, or refused where it cannot be right."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sriov_cni.attachment import goplugin
from sriov_cni.attachment.goplugin import attachments
from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.call import Arguments, Call
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device, Snapshot
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.vfs import NO_MAC, VfAttributes
from tests import goplugin as gofiles
from tests.plugin import Document

ADDRESS = "ffff:3b:02.1"  # no machine has it, so no record claims it
POD, NETNS = Owner("pod-a", "net1"), "/run/netns/pod-a"
CONFIG: Document = {
    "cniVersion": "1.0.0",
    "name": "mynet",
    "type": "sriov",
    "deviceID": ADDRESS,
    "ipam": {"type": "host-local", "ranges": []},
}
STATE = gofiles.vf_state("eth1v1", "02:00:00:00:00:01", MTU=9000)


@pytest.fixture
def records(tmp_path: Path) -> AttachmentRecords:
    """A node's records, new."""
    return AttachmentRecords(str(tmp_path), create=True)


def write(directory: Path, content: Document | bytes, name: str = "pod-a-net1") -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (directory / name).write_bytes(data)


def cache(config: Document, **state: Any) -> Document:
    return gofiles.cache(config, "eth1", 1, STATE | state)


def adopt(records: AttachmentRecords) -> Record | None:
    config, asked = CONFIG | {"prevResult": {}}, Arguments.parse("IP=10.0.0.1")
    call = Call("DEL", POD, NETNS, asked, "/opt/cni/bin", "mynet", "1.0.0", config)
    return attachments.adopt(records, Socket(), POD, call)


def adopted_from(records: AttachmentRecords, directory: Path, content: Document) -> Snapshot:
    write(directory, content)
    record = adopt(records)
    assert record is not None
    return record.before


def test_an_adopted_attachment_has_a_record_instead_of_its_file(
    records: AttachmentRecords, tmp_path: Path
) -> None:
    write(tmp_path, cache(CONFIG))
    assert attachments.function_of(records, POD) == PciFunction("eth1", 1, ADDRESS)
    record = adopt(records)
    assert record is not None
    assert record == records.find(POD)
    assert record.config == CONFIG
    assert (record.owner, record.netns, record.arguments.text) == (POD, NETNS, "IP=10.0.0.1")
    assert os.listdir(tmp_path) == [f"{ADDRESS},pod-a,net1"]
    assert adopt(records) is None


def test_a_vf_that_is_not_there_is_not_claimed(records: AttachmentRecords, tmp_path: Path) -> None:
    write(tmp_path, cache(CONFIG))
    record = adopt(records)
    assert record is not None
    assert not records.claims(record)
    assert records.claimant(ADDRESS) is None


def test_the_device_is_restored_and_of_the_attributes_those_that_were_changed(
    records: AttachmentRecords, tmp_path: Path
) -> None:
    device = Device("eth1v1", (), "02:00:00:00:00:01", 9000, up=False, parent="")
    nothing = VfAttributes(mac=NO_MAC)
    # An attribute that the driver does not know is kept as if it had a value.
    assert adopted_from(records, tmp_path, cache(CONFIG, Trust=True)) == (device, nothing)


@pytest.mark.parametrize(
    ("wanted", "kept", "before"),
    [
        ({"vlan": 7}, {"Vlan": 0}, {"vlan": 0, "vlan_qos": 0, "vlan_proto": "802.1q"}),
        (
            {"vlan": 7, "vlanQoS": 1},
            {"Vlan": 50, "VlanQoS": 3, "VlanProto": 0x88A8},
            {"vlan": 50, "vlan_qos": 3, "vlan_proto": "802.1ad"},
        ),
        ({"vlan": 0}, {"VlanProto": 0xA888}, {"vlan": 0, "vlan_qos": 0, "vlan_proto": "802.1ad"}),
        ({"spoofchk": "off"}, {"SpoofChk": True}, {"spoofchk": True}),
        ({"trust": "on"}, {"Trust": False}, {"trust": False}),
        ({"link_state": "enable"}, {"LinkState": 2}, {"link_state": "disable"}),
        ({"min_tx_rate": 0}, {"MaxTxRate": 9}, {"min_tx_rate": 0, "max_tx_rate": 9}),
        ({"mac": "66:d8:02:77:aa:aa"}, {"AdminMAC": "02:00:00:00:00:0A"}, {}),
    ],
)
def test_an_attribute_that_was_changed_is_restored(
    records: AttachmentRecords, tmp_path: Path, wanted: Document, kept: Document, before: Document
) -> None:
    mac = kept.get("AdminMAC", NO_MAC).lower()
    _, attributes = adopted_from(records, tmp_path, cache(CONFIG | wanted, **kept))
    assert attributes == VfAttributes(mac=mac, **before)


def test_a_vf_for_user_space_has_no_device(records: AttachmentRecords, tmp_path: Path) -> None:
    before = adopted_from(records, tmp_path, cache(CONFIG, HostIFName="", EffectiveMAC="", MTU=0))
    assert before.device is None


DAMAGED = [
    b"",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"deviceID": ' + b"[" * 100_000,
    cache(CONFIG | {"deviceID": "../../etc/passwd"}),
    cache(CONFIG) | {"OrigVfState": None},
    cache(CONFIG) | {"Master": "../eth1"},
    cache(CONFIG) | {"VFID": True},
    cache(CONFIG, HostIFName="a/b"),
    cache(CONFIG, EffectiveMAC="ff:ff:ff:ff:ff:ff"),
    cache(CONFIG, AdminMAC="nonsense"),
    cache(CONFIG, MTU=-1),
    cache(CONFIG | {"vlan": 7}, Vlan=5000),
    cache(CONFIG | {"link_state": "auto"}, LinkState=3),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_as_if_it_were_not_there_but_for_a_warning(
    records: AttachmentRecords,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    content: Document | bytes,
) -> None:
    write(tmp_path, content)
    assert attachments.function_of(records, POD) is None
    assert "the Go plugin's file pod-a-net1 is of no use" in capfd.readouterr().err
    assert adopt(records) is None
    assert attachments.unknown_owners(records, "mynet", frozenset()) == []
    assert os.listdir(tmp_path) == ["pod-a-net1"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(key=st.sampled_from(sorted(cache(CONFIG))), inner=st.booleans(), value=JSON_VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_breaks_the_reading(
    records: AttachmentRecords, tmp_path: Path, key: str, inner: bool, value: object
) -> None:
    states = sorted(STATE)
    place: Document = {key: value}
    if inner:
        place = {"OrigVfState": STATE | {states[len(key) % len(states)]: value}}
    write(tmp_path, cache(CONFIG | {"vlan": 7, "trust": "on", "link_state": "auto"}) | place)
    attachments.function_of(records, POD)  # raises nothing


def test_gc_finds_attachments_by_network_and_keeps_the_valid_ones(
    records: AttachmentRecords, tmp_path: Path
) -> None:
    write(tmp_path, cache(CONFIG), "0123abcd-net1")
    write(tmp_path, cache(CONFIG), "cnitool-0123456789abcdef-net1")
    write(tmp_path, cache(CONFIG | {"name": "other"}), "4567-net1")
    write(tmp_path, b"no cache", "4567-net2")
    unknown = attachments.unknown_owners
    found = unknown(records, "mynet", frozenset())
    assert sorted(found) == [Owner("0123abcd", "net1"), Owner("cnitool-0123456789abcdef", "net1")]
    valid = frozenset(found)
    assert unknown(records, "mynet", valid) == []


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_a_vf_without_a_claim_of_the_go_plugin_has_no_pod(
    records: AttachmentRecords, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "pci").mkdir()
        (tmp_path / "pci" / ADDRESS).write_bytes(content)
    assert goplugin.pod_of(records, ADDRESS) == ""
    assert attachments.lost(records, Socket(), ADDRESS) is None

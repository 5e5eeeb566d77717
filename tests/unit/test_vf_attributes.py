# SPDX-License-Identifier: Apache-2.0
"""A VF attribute has many places. Each test here fails if one of them is forgotten.

docs/architecture.md names the places. The kernel is played by what it is told: messages that set
attributes are kept, and become the PF's answer.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from sriov_cni.attachment import configuration, record_file
from sriov_cni.attachment.goplugin import attachments
from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.call import Arguments, read
from sriov_cni.cni.document import JsonObject
from sriov_cni.cni.owner import Owner
from sriov_cni.device import mac, vf
from sriov_cni.device.pci import PciFunction, VfSlot
from sriov_cni.device.restoration import Step
from sriov_cni.device.snapshot import Snapshot
from sriov_cni.kernel import vfs
from sriov_cni.kernel.messages import LinkMessage
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.vfs import VfAttributes
from tests import goplugin as gofiles

DOCS = Path(__file__).parents[2] / "docs"
ATTRIBUTES = VfAttributes._fields
SLOT = VfSlot("eth1", 3)
ENVIRONMENT = {"CNI_CONTAINERID": "pod", "CNI_NETNS": "/x", "CNI_IFNAME": "net1"}
BEFORE = VfAttributes("02:00:00:00:00:01", 0, 0, "802.1q", True, False, "auto", 0, 0)
# Another value for each attribute.
WANTED = VfAttributes("66:d8:02:77:aa:aa", 100, 5, "802.1ad", False, True, "disable", 10, 20)
# The configuration that asks for all of WANTED.
CONFIG: JsonObject = {
    "mac": "66:d8:02:77:aa:aa",
    "vlan": 100,
    "vlanQoS": 5,
    "vlanProto": "802.1ad",
    "spoofchk": "off",
    "trust": "on",
    "link_state": "disable",
    "min_tx_rate": 10,
    "max_tx_rate": 20,
}
KEY_OF = {"vlan_qos": "vlanQoS", "vlan_proto": "vlanProto"}  # the others are called the same


class Card(Socket):
    """A socket to a kernel whose PF keeps what it is told about VF 3."""

    def __init__(self) -> None:
        self.settings: list[Any] = []

    def change(self, kind: int, message: Any, flags: int, doing: str) -> None:
        """Keep what a request sets."""
        message.encode()
        told = LinkMessage(message.data)
        told.decode()
        (entry,) = told.get_attr("IFLA_VFINFO_LIST")["attrs"]
        self.settings += [(name, value) for name, value in entry[1]["attrs"]]

    def get(self, kind: int, message: Any, doing: str) -> Any:
        """Answer with all that was set."""
        answer = LinkMessage()
        entry = ("IFLA_VF_INFO", {"attrs": self.settings})
        answer["attrs"] = [("IFLA_IFNAME", "eth1"), ("IFLA_VFINFO_LIST", {"attrs": [entry]})]
        answer.encode()
        received = LinkMessage(answer.data)
        received.decode()
        return received


def steps_to(card: Card, wanted: VfAttributes) -> list[Step]:
    return list(vf.attribute_steps(card, SLOT, BEFORE, wanted))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_values_here_try_each_attribute(name: str) -> None:
    assert getattr(WANTED, name) not in (None, getattr(BEFORE, name))


def test_every_attribute_is_set_through_the_pf_and_read_back() -> None:
    card = Card()
    mac.give(card, SLOT, None, WANTED.mac or "")  # the kernel's entries, too, begin with the MAC
    for step in steps_to(card, WANTED):
        step()
    assert vfs.attributes(card, *SLOT) == WANTED


@pytest.mark.parametrize("name", [name for name in ATTRIBUTES if name != "mac"])
def test_an_attribute_that_alone_is_another_takes_a_step(name: str) -> None:
    assert steps_to(Card(), BEFORE) == []
    assert len(steps_to(Card(), BEFORE._replace(**{name: getattr(WANTED, name)}))) == 1


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_difference_is_named(name: str) -> None:
    wanted = VfAttributes(**{name: getattr(WANTED, name)})
    (difference,) = vf.attribute_differences(BEFORE, wanted)
    assert difference.startswith(f"{name} is ")


def test_the_configuration_asks_for_every_attribute() -> None:
    config = {"name": "mynet", "type": "sriov", "master": "eth1", **CONFIG}
    assert configuration.parse(read("ADD", ENVIRONMENT, config, "1.1.0")).attributes == WANTED
    assert {KEY_OF.get(name, name) for name in ATTRIBUTES} == set(CONFIG) <= set(configuration.KEYS)


def test_a_record_keeps_every_attribute() -> None:
    record = Record(
        owner=Owner("pod", "net1"),
        netns="/run/netns/pod",
        network="mynet",
        boot="boot",
        function=PciFunction("eth1", 3, "0000:01:10.3"),
        before=Snapshot(None, WANTED),
        arguments=Arguments.parse(""),
        config={},
    )
    assert record_file.read_record(record.encode()).before.attributes == WANTED


def test_an_attachment_of_the_go_plugin_gives_every_attribute_back(tmp_path: Path) -> None:
    config = {"name": "mynet", "deviceID": "ffff:3b:02.1", **CONFIG}
    state = gofiles.vf_state("eth1v3", "02:00:00:00:00:01") | {
        "AdminMAC": WANTED.mac,
        "Vlan": 100,
        "VlanQoS": 5,
        "VlanProto": 0x88A8,
        "SpoofChk": False,
        "Trust": True,
        "LinkState": 2,
        "MinTxRate": 10,
        "MaxTxRate": 20,
    }
    (tmp_path / "pod-net1").write_text(json.dumps(gofiles.cache(config, "eth1", 3, state)))
    records = AttachmentRecords(str(tmp_path), create=True)
    call = read("DEL", ENVIRONMENT, {"name": "mynet"}, "1.1.0")
    adopted = attachments.adopt(records, Socket(), call.owner, call)
    assert adopted is not None
    assert adopted.before.attributes == WANTED


@pytest.mark.parametrize("key", CONFIG)
def test_the_documents_have_every_attribute(key: str) -> None:
    for page in ("configuration.md", "coming-from-the-go-plugin.md"):
        assert f"`{key}`" in (DOCS / page).read_text(encoding="utf-8")

# SPDX-License-Identifier: Apache-2.0
"""What cannot be done is refused with a clear, coded error, and nothing is changed."""

import os

import pytest

from tests.networks import L2
from tests.node import Node
from tests.plugin import Document

IPAM: Document = {"type": "fixipam", "subnet": "10.1.0.0/24", "gateway": "10.1.0.1"}

REFUSED: dict[str, tuple[Document, str, int, str]] = {
    "a VF out of range": (L2, "VF=9", 101, "eth1 has no VF 9: 3 VFs are enabled on eth1"),
    "a VF that is no number": (L2, "VF=one", 4, "CNI_ARGS vf"),
    "a negative VF": (L2, "VF=-1", 4, "CNI_ARGS vf"),
    "a PF that does not exist": (L2 | {"master": "eth9"}, "", 101, "PF eth9 does not exist"),
    "a PF without SR-IOV": (L2 | {"master": "plain"}, "", 101, "plain has no SR-IOV"),
    "a PF without enabled VFs": (L2 | {"master": "idle"}, "", 101, "idle has no VFs"),
    "no master": ({**L2, "master": None}, "", 7, "invalid master"),
    "a master that climbs": (L2 | {"master": "../x"}, "", 7, "invalid master"),
    "a VLAN out of range": (L2 | {"vlan": 4095}, "", 7, "invalid vlan"),
    "a VLAN that is a boolean": (L2 | {"vlan": True}, "", 7, "invalid vlan"),
    "a multicast MAC": (L2, "MAC=01:00:5e:00:00:01", 4, "CNI_ARGS mac"),
    "an unknown argument": (L2, "VFF=1", 4, "VFF"),
    "an attribute without VF administration": (L2 | {"vlan": 5}, "", 103, "no VF administration"),
    "an MTU the device cannot have": (L2 | {"mtu": 65535 + 1}, "", 7, "invalid mtu"),
    "an IPAM plugin nobody has": (L2 | {"ipam": {"type": "no-ipam"}}, "", 7, "no-ipam not found"),
    "an IPAM plugin that climbs": (L2 | {"ipam": {"type": "../x"}}, "", 7, "no file's name"),
    "an IPAM without type": (L2 | {"ipam": {"subnet": "10.0.0.0/8"}}, "", 7, "invalid ipam.type"),
    "a device that does not exist": (L2 | {"deviceID": "0000:99:00.0"}, "", 101, "does not exist"),
    "a device that is no VF": (L2 | {"deviceID": "0000:01:00.0"}, "", 101, "is no VF"),
    "a device that is no address": (L2 | {"deviceID": "../../x"}, "", 7, "invalid deviceID"),
    "a device of another PF": (
        L2 | {"deviceID": "0000:01:10.1", "master": "idle"},
        "",
        7,
        "0000:01:10.1 is a VF of eth1, not of idle",
    ),
    "a device of another index": (L2 | {"deviceID": "0000:01:10.1", "vf": 2}, "", 7, "is VF 1"),
    "an argument against the network": (
        L2 | {"vf": 1},
        "VF=0",
        7,
        "CNI_ARGS vf is 0, but the network's vf is 1",
    ),
    "a pod against the network": (
        L2 | {"vf": 1, "requests": ["vf"], "args": {"cni": {"vf": 0}}},
        "",
        7,
        "args.cni.vf is 0, but the network's vf is 1",
    ),
    "a pod against the device plugin": (
        {"cniVersion": "1.1.0", "name": "layer2", "type": "sriov", "requests": ["deviceID"]}
        | {"deviceID": "0000:01:10.1", "pciBusID": "0000:01:10.1"}
        | {"args": {"cni": {"pciBusID": "0000:01:10.2"}}},
        "",
        7,
        'args.cni.deviceID is "0000:01:10.2", but the network\'s deviceID is "0000:01:10.1"',
    ),
    "a pod's VF that is not the device plugin's": (
        L2 | {"deviceID": "0000:01:10.1", "requests": ["vf"], "args": {"cni": {"vf": 2}}},
        "",
        7,
        "deviceID and vf disagree",
    ),
    "a list of requests that nobody knows": (L2 | {"requests": ["trust"]}, "", 7, '"trust" is not'),
    "a PF with an attribute of a VF": (L2 | {"pfOnly": True, "vlan": 5}, "", 7, "invalid pfOnly"),
    "a PF the host uses": (L2 | {"pfOnly": True, "master": "used"}, "", 102, "192.0.2.1"),
    "no address asked for": (L2 | {"ipam": IPAM}, "", 110, "no address asked for"),
    "an address outside the subnet": (L2 | {"ipam": IPAM}, "IP=10.2.0.1", 110, "10.1.0.0/24"),
    "the gateway's address": (L2 | {"ipam": IPAM}, "IP=10.1.0.1", 110, "gateway"),
    "a relative state directory": (L2 | {"dataDir": "state"}, "", 7, "invalid dataDir"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused_and_nothing_is_changed(node: Node, pod: str, case: str) -> None:
    config, args, code, words = REFUSED[case]
    node.run("ip", "link", "add", "plain", "type", "bridge")
    node.write("/sys/class/net/plain/uevent", "")
    node.add_pf("idle", vfs=0, bus=2)
    node.add_pf("used", vfs=0, bus=3)
    node.run("ip", "addr", "add", "192.0.2.1/24", "dev", "used")
    before = node.state()
    outcome = node.sriov("ADD", config, netns=pod, args=args)
    assert (outcome.status, outcome.code) == (1, code), outcome
    assert words in outcome.said
    assert node.state() == before
    assert [link["ifname"] for link in node.ip("-n", "pod", "link")] == ["lo"]


def test_a_vf_of_another_pod_is_in_use_until_its_del(node: Node, pod: str) -> None:
    assert node.sriov("ADD", L2, netns=pod, args="VF=1").status == 0
    other = node.add_pod("other")
    outcome = node.sriov("ADD", L2, container="other", netns=other, args="VF=1")
    assert outcome.code == 11
    assert "0000:01:10.1 belongs to interface net1 of container pod until its DEL" in outcome.said


def test_without_a_free_vf_a_retry_may_help(node: Node) -> None:
    for number in range(3):
        path = node.add_pod(f"pod{number}")
        assert node.sriov("ADD", L2, container=f"pod{number}", netns=path).status == 0
    before = node.state()
    outcome = node.sriov("ADD", L2, container="late", netns=node.add_pod("late"))
    assert (outcome.code, outcome.document["msg"]) == (11, "no free VF on eth1")
    assert node.state() == before


def test_a_vf_the_host_uses_is_not_given_when_asked_for(node: Node, pod: str) -> None:
    node.run("ip", "addr", "add", "192.0.2.1/24", "dev", "eth1v1")
    outcome = node.sriov("ADD", L2, netns=pod, args="VF=1")
    assert outcome.code == 102
    assert "192.0.2.1" in outcome.said


def test_an_interface_name_taken_in_the_pod_is_refused(node: Node, pod: str) -> None:
    node.run("ip", "-n", "pod", "link", "add", "net1", "type", "bridge")
    before = node.state()
    outcome = node.sriov("ADD", L2, netns=pod)
    assert (outcome.code, outcome.document["msg"]) == (102, "interface net1 exists in the pod")
    assert node.state() == before


@pytest.mark.parametrize(
    ("netns", "words"),
    [
        ("/proc/self/ns/net", "the host's own network namespace"),
        ("/proc/self/ns/mnt", "not a network namespace"),
        ("/run/netns/nowhere", "No such file"),
        ("/etc/hostname", "not a namespace"),
        ("/var/lib/cni/fifo", "not a namespace"),
        ("relative/path", "No such file"),
        ("/run/netns/" + "x" * 300, "File name too long"),
    ],
)
def test_a_netns_that_is_none_is_named(node: Node, netns: str, words: str) -> None:
    os.mkfifo(node.path("/var/lib/cni/fifo"))
    before = node.state()
    outcome = node.sriov("ADD", L2, netns=netns)
    assert (outcome.code, outcome.document["msg"]) == (4, "invalid CNI_NETNS")
    assert words in outcome.said
    assert node.state() == before


def test_a_second_default_route_names_its_cure_and_the_cure_works(node: Node, pod: str) -> None:
    config = L2 | {"ipam": IPAM | {"routes": [{"dst": "0.0.0.0/0"}]}}
    assert node.sriov("ADD", config, netns=pod, args="IP=10.1.0.5").status == 0
    before = node.state()
    outcome = node.sriov("ADD", config, netns=pod, ifname="net2", args="IP=10.1.0.6")
    assert outcome.code == 7
    assert "its own priority or table" in outcome.said
    assert node.state() == before
    cured = L2 | {"ipam": IPAM | {"routes": [{"dst": "0.0.0.0/0", "priority": 100}]}}
    assert node.sriov("ADD", cured, netns=pod, ifname="net2", args="IP=10.1.0.6").status == 0


def test_a_leased_address_is_refused_and_the_vf_is_whole_again(node: Node, pod: str) -> None:
    config = L2 | {"ipam": IPAM}
    assert node.sriov("ADD", config, netns=pod, args="IP=10.1.0.5").status == 0
    before = node.state()
    other = node.add_pod("other")
    outcome = node.sriov("ADD", config, container="other", netns=other, args="IP=10.1.0.5")
    assert outcome.code == 11
    assert "leased to interface net1 of container pod" in outcome.said
    assert node.state() == before

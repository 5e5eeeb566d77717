# SPDX-License-Identifier: Apache-2.0
"""What the host uses is never given away: neither a VF, however it is asked for, nor a PF.

VLAN devices, which not every kernel of a test machine has, are in tests/lab.
"""

import os

import pytest

from tests.networks import L2
from tests.node import Node
from tests.plugin import Document

ON_TOP = ("macvlan", "macvtap")
ASKED: dict[str, Document] = {
    "by index": {"vf": 0},
    "by address": {"deviceID": "0000:01:10.0"},
}


def put_on(node: Node, netdev: str, upper: str, kind: str) -> None:
    """Have a device sit on another; the kernel says so in sysfs, for which the node has its own."""
    node.run("ip", "link", "add", "link", netdev, "name", upper, "type", kind, "mode", "bridge")
    os.makedirs(node.path(f"/sys/class/net/{netdev}"), exist_ok=True)
    node.link(f"/sys/class/net/{netdev}/upper_{upper}", f"../{upper}")


def pci_id(node: Node, pod: str, config: Document = L2) -> str:
    """Return the PCI address that an ADD gives."""
    return str(node.sriov("ADD", config, netns=pod).document["interfaces"][0]["pciID"])


@pytest.mark.parametrize("kind", ON_TOP)
def test_a_vf_that_carries_a_device_of_the_host_is_passed_over(
    node: Node, pod: str, kind: str
) -> None:
    put_on(node, "eth1v0", "storage100", kind)
    assert pci_id(node, pod) == "0000:01:10.1"


@pytest.mark.parametrize("asked", ASKED)
def test_what_sits_on_a_vf_is_named_when_it_is_asked_for(node: Node, pod: str, asked: str) -> None:
    put_on(node, "eth1v0", "storage100", "macvlan")
    before = node.state()
    outcome = node.sriov("ADD", L2 | ASKED[asked], netns=pod)
    assert outcome.code == 102
    assert "0000:01:10.0 (eth1v0) is the host's: storage100 sits on it" in outcome.said
    put_on(node, "eth1v0", "vm3", "macvtap")
    outcome = node.sriov("ADD", L2 | ASKED[asked], netns=pod)
    assert "storage100, vm3 sit on it" in outcome.said
    for upper in ("vm3", "storage100"):
        node.run("ip", "link", "delete", upper)
    os.unlink(node.path("/sys/class/net/eth1v0/upper_vm3"))
    os.unlink(node.path("/sys/class/net/eth1v0/upper_storage100"))
    now = node.state()
    assert now["records"] == before["records"] == []
    assert node.sriov("ADD", L2 | ASKED[asked], netns=pod).status == 0


def test_a_search_that_finds_no_vf_names_what_the_host_uses(node: Node, pod: str) -> None:
    for vf in range(3):
        put_on(node, f"eth1v{vf}", f"storage{vf}", "macvlan")
    outcome = node.sriov("ADD", L2, netns=pod)
    assert (outcome.code, outcome.document["msg"]) == (11, "no free VF on eth1")
    assert "0000:01:10.1 (eth1v1) is the host's: storage1 sits on it" in outcome.said


@pytest.mark.parametrize(
    ("family", "route"),
    [
        ("-4", "default dev eth1v0"),
        ("-4", "default dev eth1v0 table 100"),
        ("-4", "default nexthop dev eth1 nexthop dev eth1v0"),
        ("-6", "default dev eth1v0"),
        ("-6", "default nexthop via fe80::1 dev eth1 nexthop via fe80::2 dev eth1v0"),
    ],
)
def test_a_vf_that_carries_a_default_route_of_the_host_is_passed_over(
    node: Node, pod: str, family: str, route: str
) -> None:
    for name in ("eth1v0", "eth1v0p", "eth1v1", "eth1wire"):
        node.run("ip", "link", "set", name, "up")
    node.run("ip", family, "route", "add", *route.split())
    outcome = node.sriov("ADD", L2, netns=pod, args="VF=0")
    assert outcome.code == 102
    assert "(eth1v0) carries a default route of the host" in outcome.said
    assert pci_id(node, pod) == "0000:01:10.1"


def test_a_default_route_that_only_a_router_advertised_keeps_no_vf(node: Node, pod: str) -> None:
    for name in ("eth1v0", "eth1v0p"):
        node.run("ip", "link", "set", name, "up")
    advertised = ("via", "fe80::1", "dev", "eth1v0", "proto", "ra", "expires", "900")
    node.run("ip", "-6", "route", "add", "default", *advertised)
    assert pci_id(node, pod) == "0000:01:10.0"


def test_other_routes_keep_no_vf(node: Node, pod: str) -> None:
    node.run("ip", "link", "set", "eth1v0", "up")
    node.run("ip", "route", "add", "10.8.0.0/16", "dev", "eth1v0")
    node.run("ip", "route", "add", "default", "dev", "eth1")
    assert pci_id(node, pod) == "0000:01:10.0"


@pytest.mark.parametrize("kind", ON_TOP)
def test_a_pf_that_carries_a_device_of_the_host_stays(node: Node, pod: str, kind: str) -> None:
    put_on(node, "eth1", "storage100", kind)
    outcome = node.sriov("ADD", L2 | {"pfOnly": True}, netns=pod)
    assert outcome.code == 102
    assert "0000:01:00.0 (eth1) is the host's: storage100 sits on it" in outcome.said


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_pf_that_carries_the_default_route_stays(node: Node, pod: str, family: str) -> None:
    node.run("ip", "link", "set", "eth1wire", "up")
    node.run("ip", family, "route", "add", "default", "dev", "eth1")
    outcome = node.sriov("ADD", L2 | {"pfOnly": True}, netns=pod)
    assert outcome.code == 102
    assert "(eth1) carries a default route of the host" in outcome.said


def test_a_vf_in_a_bridge_of_the_host_is_refused(node: Node, pod: str) -> None:
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.run("ip", "link", "set", "eth1v0", "master", "br0")
    outcome = node.sriov("ADD", L2, netns=pod, args="VF=0")
    assert outcome.code == 102
    assert "(eth1v0) belongs to a bond, bridge or team of the host" in outcome.said

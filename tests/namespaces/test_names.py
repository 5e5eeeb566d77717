# SPDX-License-Identifier: Apache-2.0
"""Names in the way: of the VF, on the host and in the pod. It works, or changes nothing."""

import os
import sys

import pytest

from tests.networks import L2
from tests.node import Node


def add_bridge(node: Node, name: str, *where: str) -> None:
    """Make another device, on the host or with `-n POD` in a pod."""
    node.run("ip", *where, "link", "add", name, "type", "bridge")


def add_alternative_name(node: Node, device: str, name: str, *where: str) -> None:
    node.run("ip", *where, "link", "property", "add", "dev", device, "altname", name)


@pytest.mark.parametrize(
    "name", ["net1", "eth0", "enp1s0v0", "a-name-longer-than-any-devices-may-be"]
)
def test_alternative_names_come_along_and_back(node: Node, pod: str, name: str) -> None:
    add_alternative_name(node, "eth1v0", name)
    before = node.state()
    for ifname in ("net1", "eth0"):
        assert node.sriov("ADD", L2, netns=pod, ifname=ifname).status == 0
        assert node.ip("-n", "pod", "link", "show", ifname)[0]["ifname"] == ifname
        assert node.sriov("DEL", L2, netns=pod, ifname=ifname).status == 0
        assert node.state() == before


def test_a_host_vf_called_eth0_becomes_eth0_beside_others(node: Node, pod: str) -> None:
    add_bridge(node, "eth0", "-n", "pod")
    node.run("ip", "link", "set", "eth1v0", "name", "eth0")
    node.link("/sys/bus/pci/devices/0000:01:10.0/net/eth0", "eth1v0")
    before = node.state()
    assert node.sriov("ADD", L2, netns=pod, args="VF=0").status == 0
    assert {link["ifname"] for link in node.ip("-n", "pod", "link")} == {"lo", "eth0", "net1"}
    assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.state() == before


def test_an_alternative_name_taken_in_the_pod(node: Node, pod: str) -> None:
    # By Linux 6.8 at the latest a move is refused then; before, two devices have it.
    add_alternative_name(node, "eth1v0", "enp1s0v0")
    add_bridge(node, "enp1s0v0", "-n", "pod")
    before = node.state()
    outcome = node.sriov("ADD", L2, netns=pod, args="VF=0")
    if outcome.status:
        assert outcome.code == 103
        assert "File exists" in outcome.said
        assert "everything done was undone" in outcome.said
        assert node.state() == before
    assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.state() == before


@pytest.mark.parametrize(
    ("taken", "alternative", "left"),
    [("eth1v0", "", "net1"), ("other", "eth1v0", "net1"), ("eth1v0", "net1", "dev1")],
)
def test_a_host_name_taken_meanwhile_stays_its_new_owners(
    node: Node, pod: str, taken: str, alternative: str, left: str
) -> None:
    before = node.ip("link", "show", "eth1v0")[0]
    assert node.sriov("ADD", L2 | {"mtu": 1400}, netns=pod, args="VF=0").status == 0
    add_bridge(node, taken)
    if alternative:
        add_alternative_name(node, taken, alternative)
    net = node.path("/sys/bus/pci/devices/0000:01:10.0/net")
    os.rename(f"{net}/eth1v0", f"{net}/{left}")
    outcome = node.sriov("DEL", L2, netns=pod)
    assert (outcome.status, outcome.document) == (0, {})
    assert f"{left} is not eth1v0 again: another device has that name" in outcome.stderr
    home = node.ip("link", "show", left)[0]
    assert (home["address"], home["mtu"]) == (before["address"], before["mtu"])
    assert node.state()["records"] == []


def test_an_alternative_name_taken_meanwhile_stays_its_new_owners(node: Node, pod: str) -> None:
    add_alternative_name(node, "eth1v0", "enp1s0v0")
    add_alternative_name(node, "eth1v0", "data")
    assert node.sriov("ADD", L2, netns=pod, args="VF=0").status == 0
    add_bridge(node, "enp1s0v0")
    outcome = node.sriov("DEL", L2, netns=pod)
    assert (outcome.status, outcome.document) == (0, {})
    assert "is not enp1s0v0 again: another device has that name" in outcome.stderr
    assert node.ip("link", "show", "eth1v0")[0]["altnames"] == ["data"]
    assert node.state()["records"] == []


@pytest.mark.parametrize("as_alternative_name", [False, True])
def test_an_interface_name_taken_in_the_pod_is_refused(
    node: Node, pod: str, as_alternative_name: bool
) -> None:
    add_bridge(node, "other" if as_alternative_name else "net1", "-n", "pod")
    if as_alternative_name:
        add_alternative_name(node, "other", "net1", "-n", "pod")
    before = node.state()
    outcome = node.sriov("ADD", L2, netns=pod)
    assert (outcome.code, outcome.document["msg"]) == (102, "interface net1 exists in the pod")
    assert node.state() == before


# What udev does when it comes across a device that came home, between two requests of a DEL.
GIVEN_MEANWHILE = """
from sriov_cni.device import restoration
from sriov_cni.kernel import links
from sriov_cni.kernel.netlink import Socket

host = Socket()
link = links.find(host, "eth1v0")
for name in ("storage", "enp1s0v0"):
    links.add_alternative_name(host, link, name)
restoration._give_alternative_name(host, link, "storage")
restoration._give_name(host, link, "enp1s0v0")
"""


def test_a_name_that_the_device_has_already_as_an_alternative_one_is_no_error(node: Node) -> None:
    node.run(sys.executable, "-c", GIVEN_MEANWHILE)
    (link,) = node.ip("link", "show", "enp1s0v0")
    assert (link["ifname"], link["altnames"]) == ("enp1s0v0", ["storage"])

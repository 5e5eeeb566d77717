# SPDX-License-Identifier: Apache-2.0
"""Functions named by PCI address, VFs for user space, and PFs themselves."""

import os
import sys

import pytest

from tests.networks import DEVICE, L2
from tests.node import Node
from tests.plugin import Document

POOL: Document = {"type": "fixipam", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5"}


@pytest.mark.parametrize(
    "config",
    [
        {"deviceID": "0000:01:10.2"},
        {"pciBusID": "0000:01:10.2"},
        {"deviceID": "0000:01:10.2", "master": "eth1", "vf": 2},
        {"deviceID": "0000:01:10.0", "runtimeConfig": {"deviceID": "0000:01:10.2"}},
    ],
)
def test_a_vf_is_found_by_its_pci_address(node: Node, pod: str, config: Document) -> None:
    before = node.state()
    outcome = node.sriov("ADD", DEVICE | config, netns=pod)
    assert outcome.document["interfaces"][0]["pciID"] == "0000:01:10.2"
    checked = DEVICE | config | {"prevResult": outcome.document}
    assert node.sriov("CHECK", checked, netns=pod).status == 0
    assert node.sriov("DEL", DEVICE | config, netns=pod).status == 0
    assert node.state() == before


REPRESENTORS = ("pf0vf1", "c1pf0vf1", "pf0vfr1", "p0pf0vf1", "pf0sf88", "pf0hpf", "pf0", "c1pf0")


@pytest.mark.parametrize(
    ("uplink", "representor"),
    [
        *((None, name) for name in REPRESENTORS),
        *((name, "pf0sf88") for name in ("p0", "p1", "p0s1", "n0")),
    ],
)
def test_the_pf_may_have_representors_beside_its_own_device(
    node: Node, pod: str, uplink: str | None, representor: str
) -> None:
    """The names are those of devlink's ports, of ice, sfc and of Mellanox' own drivers."""
    node.run("ip", "link", "add", "arep", "type", "veth", "peer", "name", "arep-p")
    node.write("/sys/class/net/arep/phys_port_name", f"{representor}\n")
    os.makedirs(node.path("/sys/bus/pci/devices/0000:01:00.0/net/arep"))
    if uplink is not None:
        node.write("/sys/class/net/eth1/phys_port_name", f"{uplink}\n")
    config = DEVICE | {"deviceID": "0000:01:10.2"}
    assert node.sriov("ADD", config, netns=pod).status == 0
    (name,) = node.files("/var/lib/cni/sriov")
    assert '"pf":"eth1"' in node.read(f"/var/lib/cni/sriov/{name}")


def test_two_ports_of_one_function_are_told_by_the_master_that_is_named(
    node: Node, pod: str
) -> None:
    """One PCI function has both ports of a mlx4 card."""
    node.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0wire")
    os.makedirs(node.path("/sys/bus/pci/devices/0000:01:00.0/net/eth0"))
    config = DEVICE | {"deviceID": "0000:01:10.2", "master": "eth1"}
    assert node.sriov("ADD", config, netns=pod).status == 0
    (name,) = node.files("/var/lib/cni/sriov")
    assert '"pf":"eth1"' in node.read(f"/var/lib/cni/sriov/{name}")


def test_the_pf_may_be_a_member_of_a_bond(node: Node, pod: str) -> None:
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.run("ip", "link", "set", "eth1", "master", "br0")
    assert node.sriov("ADD", DEVICE | {"deviceID": "0000:01:10.2"}, netns=pod).status == 0


@pytest.mark.parametrize("driver", ["vfio-pci", "uio_pci_generic", "igb_uio"])
def test_a_userspace_vf_stays_and_is_reported_with_its_addresses(
    node: Node, pod: str, driver: str
) -> None:
    node.bind_to_userspace(1, driver)
    before = node.state()
    config = DEVICE | {"deviceID": "0000:01:10.1", "ipam": POOL}
    outcome = node.sriov("ADD", config, netns=pod)
    assert outcome.document["interfaces"] == [
        {"name": "net1", "sandbox": pod, "pciID": "0000:01:10.1"}
    ]
    assert outcome.document["ips"] == [{"address": "10.1.0.5/24", "interface": 0}]
    assert [link["ifname"] for link in node.ip("-n", "pod", "link")] == ["lo"]
    checked = config | {"prevResult": outcome.document}
    assert node.sriov("CHECK", checked, netns=pod).status == 0
    second = node.sriov("ADD", config, container="other", netns=node.add_pod("other"))
    assert second.code == 11
    assert node.sriov("DEL", config, netns=pod).status == 0
    assert node.state() == before


def test_a_userspace_vf_of_a_dead_pod_is_free_for_the_next(node: Node, pod: str) -> None:
    node.bind_to_userspace(1)
    config = DEVICE | {"deviceID": "0000:01:10.1", "ipam": POOL}
    assert node.sriov("ADD", config, netns=pod).status == 0
    node.run("ip", "netns", "delete", "pod")
    outcome = node.sriov("ADD", config, container="next", netns=node.add_pod("next"))
    assert outcome.document["ips"][0]["address"] == "10.1.0.6/24"  # the other one comes last now
    assert node.state()["records"] == ["0000:01:10.1,next,net1"]
    assert node.state()["leases"] == ["10.1.0.6,next,net1"]
    assert "lost by interface net1 of container pod" in outcome.stderr


def test_a_userspace_vf_of_the_go_plugins_pod_is_left_to_it(node: Node, pod: str) -> None:
    node.bind_to_userspace(1)
    node.write("/var/lib/cni/sriov/pci/0000:01:10.1", pod)
    outcome = node.sriov("ADD", DEVICE | {"deviceID": "0000:01:10.1"}, netns=node.add_pod("next"))
    assert outcome.code == 11
    assert "another SR-IOV plugin" in outcome.said
    node.run("ip", "netns", "delete", "pod")
    outcome = node.sriov("ADD", DEVICE | {"deviceID": "0000:01:10.1"}, netns="/run/netns/next")
    assert outcome.status == 0


def test_a_userspace_vf_has_no_mtu(node: Node, pod: str) -> None:
    node.bind_to_userspace(1)
    before = node.state()
    outcome = node.sriov("ADD", DEVICE | {"deviceID": "0000:01:10.1", "mtu": 1400}, netns=pod)
    assert outcome.code == 103
    assert "remove mtu" in outcome.said
    assert node.state() == before


def test_the_first_free_vf_is_never_a_userspace_one(node: Node, pod: str) -> None:
    node.bind_to_userspace(0)
    outcome = node.sriov("ADD", L2, netns=pod)
    assert outcome.document["interfaces"][0]["pciID"] == "0000:01:10.1"


def test_a_vf_without_a_driver_says_so(node: Node, pod: str) -> None:
    node.bind_to_userspace(1)
    os.unlink(node.path("/sys/bus/pci/devices/0000:01:10.1/driver"))
    outcome = node.sriov("ADD", DEVICE | {"deviceID": "0000:01:10.1"}, netns=pod)
    assert outcome.code == 102
    assert "bound to no driver" in outcome.said


def test_a_pf_itself_moves_and_comes_back(node: Node, pod: str) -> None:
    before = node.state()
    config = L2 | {"pfOnly": True, "mtu": 1400}
    outcome = node.sriov("ADD", config, netns=pod)
    assert outcome.document["interfaces"][0]["pciID"] == "0000:01:00.0"
    assert outcome.document["interfaces"][0]["mtu"] == 1400
    checked = config | {"prevResult": outcome.document}
    assert node.sriov("CHECK", checked, netns=pod).status == 0
    assert node.sriov("DEL", config, netns=pod).status == 0
    assert node.state() == before


def test_a_pf_whose_vfs_are_in_use_stays(node: Node, pod: str) -> None:
    assert node.sriov("ADD", L2, netns=pod, args="VF=1").status == 0
    outcome = node.sriov("ADD", L2 | {"pfOnly": True}, netns=pod, ifname="net2")
    assert outcome.code == 102
    assert "VFs that pods use: 0000:01:10.1" in outcome.said


# A TAP device may say that it is of any kind: include/uapi/linux/if_tun.h.
TAP = """
import fcntl, os, struct, sys
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"ib0", 0x1002))  # TUNSETIFF
fcntl.ioctl(tap, 0x400454CD, int(sys.argv[1]))  # TUNSETLINK
fcntl.ioctl(tap, 0x400454CB, 1)  # TUNSETPERSIST
"""


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (32, "is an InfiniBand device: this plugin serves Ethernet, use ib-sriov-cni"),
        (24, "is no Ethernet device (type 24)"),
    ],
)
def test_a_device_that_is_not_ethernet_is_refused(
    node: Node, pod: str, kind: int, words: str
) -> None:
    node.run(sys.executable, "-c", TAP, str(kind))
    net = node.path("/sys/bus/pci/devices/0000:01:10.1/net")
    os.rename(f"{net}/eth1v1", f"{net}/ib0")
    before = node.state()
    outcome = node.sriov("ADD", L2, netns=pod, args="VF=1")
    assert outcome.code == 7
    assert f"0000:01:10.1 (ib0) {words}" in outcome.said
    assert node.state() == before

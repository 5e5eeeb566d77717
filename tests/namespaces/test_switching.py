# SPDX-License-Identifier: Apache-2.0
"""A node that ran the Go plugin: what that attached is taken down here."""

import json
import os
from collections.abc import Callable

import pytest

from tests import goplugin
from tests.node import Node
from tests.plugin import Document, outcomes

ADDRESS = "0000:01:10.0"
CONFIG: Document = {
    "cniVersion": "1.1.0",
    "name": "mynet",
    "type": "sriov",
    "deviceID": ADDRESS,
    "mac": "66:d8:02:77:aa:aa",
    "ipam": {"type": "fixipam", "subnet": "10.55.206.0/26"},
}
L2: Document = {"cniVersion": "1.1.0", "name": "l2", "type": "sriov", "deviceID": ADDRESS}
LEASE = "IgnoreUnknown=1;IP=10.55.206.46"
CACHE, CLAIM = f"{goplugin.DIRECTORY}/pod-net1", f"{goplugin.DIRECTORY}/pci/{ADDRESS}"


def attach(node: Node, pod: str, container: str = "pod", config: Document = CONFIG) -> None:
    """Do to VF 0 what an ADD of the Go plugin does."""
    (link,) = node.ip("link", "show", "dev", "eth1v0")
    mac, name = str(config["mac"]), os.path.basename(pod)
    state = goplugin.vf_state("eth1v0", link["address"], MTU=link["mtu"])
    node.run("ip", "link", "set", "eth1v0", "netns", name, "name", "net1", "address", mac)
    node.run("ip", "-n", name, "link", "set", "net1", "up")
    assert node.fixipam("ADD", config, container=container, netns=pod, args=LEASE).status == 0
    cached = json.dumps(goplugin.cache(config, "eth1", 0, state))
    node.write(f"{goplugin.DIRECTORY}/{container}-net1", cached)
    node.write(CLAIM, pod)


def lose(node: Node, home: str = "net1") -> None:
    """Have the pod's namespace die, and the kernel return the VF under a name."""
    node.take_from_pod("pod", "net1", home)
    node.run("ip", "netns", "delete", "pod")
    # Here sysfs does not follow; the plugin looks which of the names there are true.
    os.makedirs(node.path(f"/sys/bus/pci/devices/{ADDRESS}/net/{home}"), exist_ok=True)


@pytest.fixture
def before(node: Node, pod: str) -> dict[str, object]:
    """The node's state before the Go plugin's ADD for the pod."""
    before = node.state()
    attach(node, pod)
    return before


@pytest.mark.parametrize("netns", ["/run/netns/pod", ""])
def test_del_takes_the_go_plugins_attachment_down(
    node: Node, before: dict[str, object], netns: str
) -> None:
    node.run("ip", "-n", "pod", "link", "set", "net1", "mtu", "1400")
    outcome = node.sriov("DEL", CONFIG, netns=netns)
    assert (outcome.status, outcome.document, outcome.stderr) == (0, {}, "")
    assert node.state() == before
    assert node.sriov("DEL", CONFIG, netns=netns).status == 0


@pytest.mark.parametrize("netns", ["/run/netns/pod", ""])
def test_del_restores_a_vf_that_came_home_from_a_dead_namespace(
    node: Node, before: dict[str, object], netns: str
) -> None:
    lose(node)
    assert node.sriov("DEL", CONFIG, netns=netns).status == 0
    assert node.state() == before


def test_del_takes_the_vfs_mtu_as_it_is_where_the_file_does_not_say(
    node: Node, before: dict[str, object]
) -> None:
    cached = json.loads(node.read(CACHE))
    del cached["OrigVfState"]["MTU"]
    node.write(CACHE, json.dumps(cached))
    assert node.sriov("DEL", CONFIG).status == 0
    assert node.state() == before


@pytest.mark.parametrize("netns", ["/run/netns/pod", ""])
def test_del_leaves_a_vf_that_went_to_another_pod_of_the_go_plugin(
    node: Node, before: dict[str, object], netns: str
) -> None:
    lose(node, "eth1v0")
    os.utime(node.path(CACHE), (1, 1))
    assert node.fixipam("DEL", CONFIG).status == 0
    attach(node, node.add_pod("next"), "next")
    taken = node.ip("-n", "next", "link")
    assert node.sriov("DEL", CONFIG, netns=netns).status == 0
    assert node.ip("-n", "next", "link") == taken
    assert node.state()["records"] == [ADDRESS, "next-net1"]
    assert node.sriov("DEL", CONFIG, container="next").status == 0
    assert node.state()["records"] == []


@pytest.mark.parametrize("damaged", [False, True])
def test_del_leaves_a_vf_that_is_a_pod_of_ours_now(
    node: Node, before: dict[str, object], damaged: bool
) -> None:
    node.take_from_pod("pod", "net1", "eth1v0")
    next_pod = node.add_pod("next")
    assert node.sriov("ADD", L2, container="next", netns=next_pod).status == 0
    if damaged:
        node.write("/var/lib/cni/sriov/0000:01:10.0,next,net1", "{")
    taken = node.ip("-n", "next", "link")
    assert node.sriov("DEL", CONFIG, netns="/run/netns/pod").status == 0
    assert node.ip("-n", "next", "link") == taken
    assert node.state()["records"] == ["0000:01:10.0,next,net1"]
    assert node.state()["leases"] == before["leases"]
    assert node.sriov("DEL", L2, container="next").status == 0


def test_after_a_reboot_only_the_addresses_are_released(
    node: Node, before: dict[str, object]
) -> None:
    lose(node, "eth1v0")
    os.utime(node.path(CACHE), (1, 1))
    links = node.state()["links"]
    assert node.sriov("DEL", CONFIG, netns="/run/netns/pod").status == 0
    assert node.state() == before | {"links": links}


def link_elsewhere(path: str) -> None:
    os.rename(path, f"{path}.away")
    os.symlink(f"{path}.away", path)


def make_fifo(path: str) -> None:
    os.unlink(path)
    os.mkfifo(path)


def make_directory(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


@pytest.mark.parametrize("spoil", [link_elsewhere, make_fifo, make_directory, os.unlink])
def test_a_cache_file_that_is_none_is_left_alone(
    node: Node, before: dict[str, object], spoil: Callable[[str], None]
) -> None:
    spoil(node.path(CACHE))
    taken = node.ip("-n", "pod", "link")
    outcome = node.sriov("DEL", CONFIG, netns="/run/netns/pod")
    assert outcome.status == 0
    assert ("pod-net1 is of no use" in outcome.stderr) == (spoil is not os.unlink)
    assert node.ip("-n", "pod", "link") == taken
    assert node.state()["leases"] == before["leases"]


def test_add_restores_a_vf_whose_del_never_came(node: Node, before: dict[str, object]) -> None:
    lose(node)
    lost = node.state()
    assert node.sriov("STATUS", L2).status == 0
    assert node.state() == lost
    outcome = node.sriov("ADD", L2, container="next", netns=node.add_pod("next"))
    assert "was lost by interface net1 of container pod" in outcome.stderr
    assert node.state()["records"] == ["0000:01:10.0,next,net1", "pod-net1"]
    assert node.sriov("DEL", CONFIG).status == 0
    assert node.state()["records"] == ["0000:01:10.0,next,net1"]
    assert node.sriov("DEL", L2, container="next").status == 0
    assert node.state() == before


def test_add_leaves_a_vf_that_the_host_uses_as_it_is(node: Node, before: dict[str, object]) -> None:
    lose(node, "uplink")
    node.run("ip", "addr", "add", "192.0.2.1/24", "dev", "uplink")
    used = node.state()
    assert node.sriov("ADD", L2, netns=node.add_pod("next")).code == 102
    assert node.state() == used


def test_gc_takes_down_what_the_runtime_does_not_know(
    node: Node, before: dict[str, object]
) -> None:
    attached = node.state()
    known = {"cni.dev/valid-attachments": [{"containerID": "pod", "ifname": "net1"}]}
    assert node.sriov("GC", CONFIG | known).status == 0
    unknown: Document = {"cni.dev/valid-attachments": []}
    other = CONFIG | {"name": "other"} | unknown
    assert node.sriov("GC", other).status == 0
    assert node.state() == attached
    assert node.sriov("GC", CONFIG | unknown).status == 0
    assert node.state() == before


def test_a_del_whose_ipam_fails_can_be_repeated(node: Node, before: dict[str, object]) -> None:
    unknown = CONFIG | {"ipam": {"type": "no-such-plugin"}}
    assert node.sriov("DEL", unknown).status == 1
    assert node.state()["records"] == ["returned,pod,net1"]
    assert node.state()["links"] == before["links"]


def test_two_dels_at_once_both_succeed(node: Node, before: dict[str, object]) -> None:
    both = [node.sriov.start("DEL", CONFIG, netns="/run/netns/pod") for _ in range(2)]
    assert [outcome.said for outcome in outcomes(both) if outcome.status] == []
    assert node.state() == before

# SPDX-License-Identifier: Apache-2.0
"""DEL: everything is as before, however little is left to go by."""

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.networks import FULL, L2, MYNET
from tests.node import Node
from tests.plugin import wait_for, write_plugin


@pytest.fixture
def attached(node: Node, pod: str) -> dict[str, object]:
    """The node's state before a full ADD was made."""
    node.run("ip", "link", "property", "add", "dev", "eth1v0", "altname", "net1")
    node.run("ip", "link", "property", "add", "dev", "eth1v0", "altname", "enp1s0v0")
    before = node.state()
    outcome = node.sriov("ADD", FULL, netns=pod, args="VF=0;MAC=66:d8:02:77:aa:aa")
    assert outcome.status == 0, outcome
    return before


def test_del_restores_the_vf_and_forgets_record_and_lease(
    node: Node, pod: str, attached: dict[str, object]
) -> None:
    assert node.state() != attached
    outcome = node.sriov("DEL", FULL, netns=pod)
    assert (outcome.status, outcome.document, outcome.stderr) == (0, {}, "")
    assert node.state() == attached


def test_del_needs_no_netns_variable(node: Node, attached: dict[str, object]) -> None:
    assert node.sriov("DEL", FULL).status == 0
    assert node.state() == attached


def test_del_needs_no_valid_configuration(node: Node, attached: dict[str, object]) -> None:
    changed = {"cniVersion": "1.1.0", "name": "mynet", "type": "sriov", "vlan": "nonsense"}
    assert node.sriov("DEL", changed).status == 0
    assert node.state() == attached


def test_del_finds_the_interface_whatever_happened_to_its_mac_and_mtu(
    node: Node, pod: str, attached: dict[str, object]
) -> None:
    node.run("ip", "-n", "pod", "link", "set", "net1", "address", "66:d8:02:77:00:01", "mtu", "900")
    assert node.sriov("DEL", FULL, netns=pod).status == 0
    assert node.state() == attached


def test_del_twice_and_before_any_add_succeeds(node: Node, pod: str) -> None:
    before = node.state()
    for _ in range(2):
        assert node.sriov("DEL", MYNET, netns=pod).status == 0
    assert node.sriov("ADD", L2, netns=pod).status == 0
    for _ in range(2):
        assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.state() == before


def test_del_after_the_namespace_died_with_the_vf_in_it(
    node: Node, attached: dict[str, object]
) -> None:
    # A veth dies with its namespace, as a VF does when its card is reset.
    node.run("ip", "netns", "delete", "pod")
    shutil.rmtree(node.path("/sys/bus/pci/devices/0000:01:10.0/net"))
    assert node.sriov("DEL", FULL, netns="/run/netns/pod").status == 0
    assert node.state()["records"] == node.state()["leases"] == []


def test_a_vf_in_a_namespace_without_a_path_is_not_forgotten(
    node: Node, attached: dict[str, object]
) -> None:
    node.start("ip", "netns", "exec", "pod", "sleep", "60")
    (holder,) = wait_for(lambda: node.run("ip", "netns", "pids", "pod").split())
    node.run("ip", "netns", "delete", "pod")
    outcome = node.sriov("DEL", FULL, netns="/run/netns/pod")
    assert outcome.code == 11
    assert "VF 0 of eth1 is in an unknown network namespace" in outcome.said
    assert node.state()["records"] == ["0000:01:10.0,pod,net1"]
    home = ("netns", node.netns, "name", "dev0")  # what the kernel does once the process has ended
    node.run("nsenter", "-t", holder, "-n", "ip", "link", "set", "net1", *home)
    node.link("/sys/bus/pci/devices/0000:01:10.0/net/dev0", "eth1v0")
    assert node.sriov("DEL", FULL, netns="/run/netns/pod").status == 0
    assert node.state() == attached


def test_del_does_not_wait_for_the_vfs_next_pod(node: Node, pod: str, tmp_path: Path) -> None:
    refusing = write_plugin(tmp_path, "[ $CNI_COMMAND = ADD ] && cat result || exit 1")
    (tmp_path / "result").write_text('{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.5/24"}]}')
    config = L2 | {"ipam": {"type": "written"}}
    assert node.sriov("ADD", config, netns=pod, args="VF=0", path=refusing).status == 0
    assert node.sriov("DEL", config, netns=pod, path=refusing).code == 106
    slow = write_plugin(tmp_path, "[ $CNI_COMMAND != ADD ] || { touch asked; sleep 30; }")
    running = node.sriov.start("ADD", config, container="next", netns=pod, args="VF=0", path=slow)
    wait_for((tmp_path / "asked").exists)
    taken = node.state()
    begin = time.monotonic()
    assert node.sriov("DEL", config, netns=pod, path=slow).status == 0
    assert time.monotonic() - begin < 10
    assert node.state()["links"] == taken["links"]
    assert node.state()["records"] == ["0000:01:10.0,next,net1"]
    running.process.kill()


def test_an_add_after_a_lost_del_takes_the_vf_over(node: Node, pod: str) -> None:
    before = node.state()
    assert node.sriov("ADD", FULL, netns=pod).status == 0
    # What is left when the pod's namespace died without DEL: the VF is home, the record is there.
    node.take_from_pod("pod", "net1", "eth1v0")
    assert node.sriov("ADD", FULL, container="next", netns=pod).status == 0
    assert node.state()["records"] == ["0000:01:10.0,next,net1"]
    assert node.sriov("DEL", FULL, container="next").status == 0
    assert node.state() == before


def test_a_record_of_an_earlier_boot_claims_no_vf_but_its_lease_is_released(
    node: Node, pod: str
) -> None:
    assert node.sriov("ADD", FULL, netns=pod, args="VF=0").status == 0
    node.take_from_pod("pod", "net1", "eth1v0")
    name = f"/var/lib/cni/sriov/{node.state()['records'][0]}"  # type: ignore[index]
    record = json.loads(node.read(name))
    node.write(name, json.dumps(record | {"boot": "00000000-0000-0000-0000-000000000000"}))
    other = node.add_pod("other")
    assert node.sriov("ADD", L2, container="other", netns=other, args="VF=0").status == 0
    taken = node.state()
    assert node.sriov("DEL", FULL, netns=pod).status == 0
    assert node.state()["leases"] == []
    assert node.state()["records"] == ["0000:01:10.0,other,net1"]
    assert node.state()["links"] == taken["links"]

# SPDX-License-Identifier: Apache-2.0
"""GC and STATUS: the node's view rather than one attachment's."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.networks import DUAL_STACK, L2, keeping
from tests.node import Node
from tests.plugin import Document

POOL: Document = L2 | {
    "ipam": {"type": "fixipam", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5"},
}


def test_gc_takes_down_what_the_runtime_does_not_list(node: Node) -> None:
    for name in ("kept", "lost", "lost-too"):
        netns = node.add_pod(name)
        assert node.sriov("ADD", POOL, container=name, netns=netns).status == 0
    outcome = node.sriov("GC", keeping(POOL, "kept"))
    assert (outcome.status, outcome.document) == (0, {})
    state = node.state()
    assert state["records"] == ["0000:01:10.0,kept,net1"]
    assert state["leases"] == ["10.1.0.5,kept,net1"]
    assert {"eth1v1", "eth1v2"} <= set(state["links"])  # type: ignore[call-overload]


def test_gc_leaves_other_networks_alone(node: Node, pod: str) -> None:
    assert node.sriov("ADD", L2, netns=pod).status == 0
    before = node.state()
    assert node.sriov("GC", keeping(POOL | {"name": "another"})).status == 0
    assert node.state() == before


def test_gc_without_a_list_is_refused(node: Node, pod: str) -> None:
    assert node.sriov("ADD", L2, netns=pod).status == 0
    before = node.state()
    assert node.sriov("GC", L2).code == 7
    assert node.state() == before


def test_status_is_good_where_there_are_vfs(node: Node) -> None:
    outcome = node.sriov("STATUS", DUAL_STACK)
    assert (outcome.status, outcome.document) == (0, {})


MISSING: dict[str, tuple[Document, str]] = {
    "a PF": (L2 | {"master": "eth9"}, "PF eth9 does not exist"),
    "SR-IOV": (L2 | {"master": "plain"}, "plain has no SR-IOV"),
    "VFs": (L2 | {"master": "idle"}, "idle has no VFs"),
    "a VF of that index": (L2 | {"vf": 3}, "eth1 has no VF 3"),
    "a VF of that address": (L2 | {"deviceID": "0000:01:10.7"}, "does not exist"),
    "a PF for pods": (L2 | {"master": "eth9", "pfOnly": True}, "PF eth9 does not exist"),
    "a directory": (L2 | {"dataDir": "/var/lib/file"}, "state directory unusable"),
    "a writable directory": (L2 | {"dataDir": "/read-only/sriov"}, "Read-only file system"),
    "a writable lease directory": (
        POOL | {"ipam": POOL["ipam"] | {"dataDir": "/read-only/leases"}},
        "lease directory unusable: /read-only/leases/layer2: Read-only file system",
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_status_says_why_no_add_can_be_served(node: Node, case: str) -> None:
    config, words = MISSING[case]
    node.run("ip", "link", "add", "plain", "type", "bridge")
    node.write("/sys/class/net/plain/uevent", "")
    node.add_pf("idle", vfs=0, bus=2)
    node.write("/var/lib/file", "")
    read_only = "mount -t tmpfs tmpfs /mnt && mkdir -p /mnt/sriov /mnt/leases/layer2"
    node.run("sh", "-c", f"{read_only} && mount -o remount,ro /mnt")
    config = json.loads(json.dumps(config).replace("/read-only", "/mnt"))
    outcome = node.sriov("STATUS", config)
    assert outcome.code == 50, outcome
    assert words.replace("/read-only", "/mnt") in outcome.said


def test_status_of_a_wrong_configuration_names_the_key(node: Node) -> None:
    for wrong in ({"vlan": 5000}, {"master": "../x"}, {"master": "", "pfOnly": True}):
        assert node.sriov("STATUS", L2 | wrong).code == 7


def test_vfs_and_addresses_that_are_used_up_do_not_take_the_node_out_of_service(
    node: Node,
) -> None:
    """The kubelet makes a node NotReady over a failing STATUS, and evicts its pods later."""
    config = L2 | {"ipam": POOL["ipam"] | {"rangeEnd": "10.1.0.7"}}
    for number in range(3):
        netns = node.add_pod(f"pod{number}")
        assert node.sriov("ADD", config, container=f"pod{number}", netns=netns).status == 0
    late = {"container": "late", "netns": node.add_pod("late")}
    assert node.sriov("ADD", config, **late).code == 11
    for request in ({}, {"vf": 1}, {"deviceID": "0000:01:10.1"}):
        assert node.sriov("STATUS", config | request).status == 0


def test_a_pf_that_a_pod_has_does_not_take_the_node_out_of_service(node: Node, pod: str) -> None:
    assert node.sriov("ADD", L2 | {"pfOnly": True}, netns=pod).status == 0
    shutil.rmtree(node.path("/sys/class/net/eth1"))
    os.rmdir(node.path("/sys/bus/pci/devices/0000:01:00.0/net/eth1"))
    for request in ({"pfOnly": True}, {}, {"vf": 1}, {"deviceID": "0000:01:10.1"}):
        assert node.sriov("STATUS", L2 | request).status == 0, request


@pytest.mark.parametrize("capabilities", [{}, {"deviceID": True}])
def test_status_of_a_network_whose_vf_comes_with_the_add_looks_at_the_rest(
    node: Node, capabilities: Document
) -> None:
    config = {**POOL, "capabilities": capabilities}
    del config["master"]
    assert node.sriov("STATUS", config).status == 0
    node.write("/var/lib/file", "")
    assert node.sriov("STATUS", config | {"dataDir": "/var/lib/file"}).code == 50


def test_status_waits_for_nobody_and_holds_nobody_up(node: Node, tmp_path: Path) -> None:
    """It takes no lock and makes no file: strace sees none."""
    assert node.sriov("STATUS", POOL).status == 0
    before = node.state()
    trace = tmp_path / "trace"
    strace = ("strace", "-qq", "-o", str(trace), "-e", "trace=openat,fcntl,flock")
    assert node.sriov.within(*strace)("STATUS", POOL).status == 0
    lines = trace.read_text().splitlines()
    assert [line for line in lines if "F_SETLK" in line or line.startswith("flock")] == []
    assert [line for line in lines if "/var/lib/cni" in line and "O_CREAT" in line] == []
    assert node.state() == before

# SPDX-License-Identifier: Apache-2.0
"""GC and STATUS: the node's view rather than one attachment's."""

from tests.namespaces.node import Node
from tests.namespaces.test_add import DUAL_STACK, L2
from tests.plugin import Document

POOL: Document = L2 | {
    "ipam": {"type": "fixipam", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5"},
}


def keeping(config: Document, *containers: str) -> Document:
    """The configuration as a runtime hands it to GC."""
    valid = [{"containerID": container, "ifname": "net1"} for container in containers]
    return config | {"cni.dev/valid-attachments": valid}


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


def test_status_is_good_while_a_vf_is_free(node: Node) -> None:
    outcome = node.sriov("STATUS", DUAL_STACK)
    assert (outcome.status, outcome.document) == (0, {})


def test_status_says_why_no_add_could_be_served(node: Node) -> None:
    assert "PF eth9 does not exist" in node.sriov("STATUS", L2 | {"master": "eth9"}).said
    for number in range(3):
        node.sriov("ADD", L2, container=f"pod{number}", netns=node.add_pod(f"pod{number}"))
    outcome = node.sriov("STATUS", L2)
    assert (outcome.code, outcome.document["msg"]) == (50, "no free VF on eth1")

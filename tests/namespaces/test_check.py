# SPDX-License-Identifier: Apache-2.0
"""CHECK: what ADD made is compared with the kernel, and every difference is named."""

import pytest

from tests.networks import DUAL_STACK, L2
from tests.node import Node
from tests.plugin import Document


@pytest.fixture
def checked(node: Node, pod: str) -> Document:
    """The configuration a runtime hands to CHECK: the ADD's, with its result."""
    result = node.sriov("ADD", DUAL_STACK, netns=pod).document
    return DUAL_STACK | {"prevResult": result}


def test_check_is_content_with_what_add_made(node: Node, pod: str, checked: Document) -> None:
    outcome = node.sriov("CHECK", checked, netns=pod)
    assert (outcome.status, outcome.document) == (0, {})


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("link set net1 down", "net1 is down"),
        ("link set net1 mtu 1280", "its MTU is 1280, not 1500"),
        ("link set net1 address 66:d8:02:77:00:01", "its MAC is 66:d8:02:77:00:01"),
        ("link set net1 down name eth7", "is not in the pod"),
        ("addr del 10.1.0.5/24 dev net1", "address 10.1.0.5/24 is missing"),
        ("addr del fd00:1::5/64 dev net1", "address fd00:1::5/64 is missing"),
        ("route del 10.9.0.0/16", "route to 10.9.0.0/16 via 10.1.0.9 is missing"),
        ("-6 route del default", "route to ::/0 via fd00:1::1 is missing"),
    ],
)
def test_check_names_the_difference(
    node: Node, pod: str, checked: Document, change: str, difference: str
) -> None:
    node.run("ip", "-n", "pod", *change.split())
    outcome = node.sriov("CHECK", checked, netns=pod)
    assert outcome.code == 105
    assert difference in outcome.said


def test_check_names_all_differences_at_once(node: Node, pod: str, checked: Document) -> None:
    node.run("ip", "-n", "pod", "link", "set", "net1", "mtu", "1400")
    node.run("ip", "-n", "pod", "addr", "del", "10.1.0.5/24", "dev", "net1")
    said = node.sriov("CHECK", checked, netns=pod).said
    assert "MTU" in said
    assert "10.1.0.5/24" in said


def test_check_tolerates_a_route_moved_to_another_table(
    node: Node, pod: str, checked: Document
) -> None:
    node.run("ip", "-n", "pod", "route", "del", "default")
    node.run(
        *[
            "ip",
            "-n",
            "pod",
            "route",
            "add",
            "default",
            "via",
            "10.1.0.1",
            "dev",
            "net1",
            "table",
            "100",
        ]
    )
    assert node.sriov("CHECK", checked, netns=pod).status == 0


def test_check_asks_ipam_too(node: Node, pod: str, checked: Document) -> None:
    assert node.fixipam("DEL", checked).status == 0
    outcome = node.sriov("CHECK", checked, netns=pod)
    assert outcome.code == 105
    assert "not leased" in outcome.said


def test_check_wants_prev_result_and_a_record(node: Node, pod: str, checked: Document) -> None:
    assert node.sriov("CHECK", L2, netns=pod).code == 7
    assert "no record" in node.sriov("CHECK", checked, container="stranger", netns=pod).said


def test_check_came_with_0_4_0(node: Node, pod: str) -> None:
    assert node.sriov("CHECK", L2 | {"cniVersion": "0.3.1"}, netns=pod).code == 1

# SPDX-License-Identifier: Apache-2.0
"""Neighbours learn where a pod's addresses are, also when carrier comes late."""

import os
import time

import pytest

from tests.networks import DUAL_STACK, L2
from tests.node import Node
from tests.plugin import processes_of, wait_for

ADDRESSES = ("10.1.0.5", "fd00:1::5")
STALE = "02:00:00:00:00:99"


def prepare_neighbour(node: Node) -> str:
    """Return the command that gives the other end of VF 0 carrier and stale entries."""
    for address in ("10.1.0.1/24", "fd00:1::1/64"):
        node.run("ip", "addr", "add", address, "dev", "eth1v0p", "nodad")
    entries = [f"ip neigh replace {a} lladdr {STALE} nud stale dev eth1v0p" for a in ADDRESSES]
    return "; ".join(["ip link set eth1v0p up", *entries])


def learned(node: Node, patience: float) -> bool:
    """Tell whether the neighbour's entries came to be the VF's own MAC."""
    mac = node.ip("-n", "pod", "link", "show", "net1")[0]["address"]
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        entries = {entry["dst"]: entry["lladdr"] for entry in node.ip("neigh", "show")}
        if all(entries[address] == mac for address in ADDRESSES):
            return True
        time.sleep(0.05)
    return False


def unique(name: str) -> str:
    """Return a container's ID that no other test run on this machine uses."""
    return f"{name}-{os.getpid()}"


def test_neighbours_learn_at_once_where_there_is_carrier(node: Node, pod: str) -> None:
    node.run("sh", "-c", prepare_neighbour(node))
    assert node.sriov("ADD", DUAL_STACK, netns=pod).status == 0
    assert learned(node, patience=5)
    assert not node.dad_failed()


def test_an_ipv4_address_with_carrier_needs_nobody_to_wait(node: Node, pod: str) -> None:
    node.run("sh", "-c", prepare_neighbour(node))
    ipam = {"type": "fixipam", "subnet": "10.1.0.0/24"}
    attached = {"container": unique("ready"), "netns": pod, "args": "IP=10.1.0.5"}
    assert node.sriov("ADD", L2 | {"ipam": ipam}, **attached).status == 0
    wait_until_none_is_left(attached["container"], 1)


def test_neighbours_learn_when_carrier_comes_later(node: Node, pod: str) -> None:
    gain_carrier = prepare_neighbour(node)
    container = unique("later")
    assert node.sriov("ADD", DUAL_STACK, netns=pod, container=container).status == 0
    assert len(processes_of(container)) == 1
    node.run("sh", "-c", gain_carrier)
    assert learned(node, patience=5)
    assert not node.dad_failed()
    wait_until_none_is_left(container, 1)


@pytest.mark.parametrize("end", ["ip netns delete pod", "ip -n pod link set net1 name eth9"])
def test_nothing_waits_any_longer_than_it_may(node: Node, pod: str, end: str) -> None:
    container = unique("end")
    assert node.sriov("ADD", DUAL_STACK, netns=pod, container=container).status == 0
    node.run(*end.split())
    wait_until_none_is_left(container, 1 if "delete" in end else 12)


def test_nothing_waits_for_a_vf_that_was_given_back(node: Node, pod: str) -> None:
    container = unique("back")
    assert node.sriov("ADD", DUAL_STACK, netns=pod, container=container).status == 0
    assert node.sriov("DEL", DUAL_STACK, container=container).status == 0
    wait_until_none_is_left(container, 1)


def test_nothing_waits_where_there_is_no_address(node: Node, pod: str) -> None:
    container = unique("bare")
    assert node.sriov("ADD", L2, netns=pod, container=container).status == 0
    assert processes_of(container) == []


def wait_until_none_is_left(container: str, patience: float) -> None:
    wait_for(lambda: not processes_of(container), patience)

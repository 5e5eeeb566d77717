# SPDX-License-Identifier: Apache-2.0
"""Pods with an ordinary interface and two on VFs of two cards, each in a VLAN of its own."""

from typing import NamedTuple

import pytest

from tests import card
from tests.cluster import objects
from tests.cluster.node import Node, until_equal
from tests.cluster.pods import Pods
from tests.plugin import wait_for

MAC = "66:d8:02:77:02:05"
ASKING = (
    {"name": "red", "ips": ["10.1.0.5/24"]},
    {"name": "blue", "ips": ["10.2.0.5/24"], "mac": MAC},
)


class Web(NamedTuple):
    """What this file's tests look at."""

    pods: list[str]  # of the Deployment; beside them, one that asks, and one that is apart
    before: object  # the cards' VFs, records and leases before there were pods


@pytest.fixture(scope="module")
def web(node: Node) -> Web:
    """Two pods of a Deployment, one that asks for addresses, one in another VLAN."""
    before = _given_out()
    pods = Pods(node.api)
    asking = objects.pod("asking", *ASKING)
    apart = objects.pod("apart", {"name": "green", "ips": ["10.1.0.6/24"]})
    node.api.apply(asking, apart, objects.deployment("web", 2, "red", "blue"))
    names = wait_for(lambda: found if len(found := pods.names("web")) == 2 else [], 60)
    pods.await_running("asking", "apart", *names)
    return Web(names, before)


def _given_out() -> object:
    state = card.state()
    return state["VFs"], state["files"]


def test_every_pod_has_the_three_interfaces_of_its_network_status(web: Web, pods: Pods) -> None:
    for name in [*web.pods, "asking"]:
        told = pods.networks(name)
        assert {interface: each["name"] for interface, each in told.items()} == {
            "eth0": "ordinary",
            "net1": "default/red",
            "net2": "default/blue",
        }
        for interface in ("net1", "net2"):
            (link,) = pods.link(name, interface)
            addresses = [each["local"] for each in link["addr_info"] if each["scope"] == "global"]
            assert told[interface]["ips"] == addresses
            assert told[interface]["mac"] == link["address"]


def test_a_pod_gets_the_addresses_that_its_annotation_asks_for(web: Web, pods: Pods) -> None:
    told = pods.networks("asking")
    assert told["net1"]["ips"] == ["10.1.0.5"]
    assert told["net2"]["ips"] == ["10.2.0.5"]
    assert told["net2"]["mac"] == MAC


def test_the_card_knows_each_pods_vlan_and_mac(web: Web, pods: Pods) -> None:
    for interface, pf, vlan in (("net1", "eth0", 100), ("net2", "eth1", 200)):
        expected = {pods.networks(name)[interface]["mac"] for name in [*web.pods, "asking"]}
        found = {
            card.administrative_mac(pf, vf) for vf in range(card.VFS) if card.vlan(pf, vf) == vlan
        }
        assert found == expected


def test_pods_reach_each_other_over_both_networks(web: Web, pods: Pods) -> None:
    for name in web.pods:
        assert pods.reaches(name, "10.1.0.5")
        assert pods.reaches(name, "10.2.0.5")
    (other,) = pods.networks(web.pods[1])["net1"]["ips"]
    assert pods.reaches(web.pods[0], other)


def test_nothing_passes_from_vlan_to_vlan(web: Web, pods: Pods) -> None:
    assert pods.reaches("asking", pods.networks(web.pods[0])["net1"]["ips"][0])
    assert not pods.reaches("asking", "10.1.0.6", tries=3)
    assert not pods.reaches("apart", "10.1.0.5", tries=3)


def test_what_pods_had_is_given_back(web: Web, node: Node, pods: Pods) -> None:
    node.api.delete("Deployment", "web")
    pods.delete("asking", "apart")
    pods.await_gone(*web.pods)
    until_equal(_given_out, web.before, 120)

# SPDX-License-Identifier: Apache-2.0
"""Kubelet counts the VFs that the agent tells it of, and Multus hands on the ones it has chosen."""

import re
from collections.abc import Iterator

import pytest

from tests import card
from tests.cluster import agents, objects
from tests.cluster.agents import BLUE, BOTH, RED, VFIO, Agent
from tests.cluster.node import Node, until
from tests.cluster.pods import Pods
from tests.plugin import run


@pytest.fixture(scope="module")
def agent(node: Node) -> Iterator[Agent]:
    """The agent, with the resources red and blue of a card each, and vfio."""
    agents.install()
    node.api.apply(*agents.NETWORKS)
    agent = Agent("agent")
    agent.start()
    agents.await_allocatable(node, 7, 7, 0)
    yield agent
    agent.stop()


def test_kubectl_describe_shows_the_resources(agent: Agent) -> None:
    described = run("kubectl", "describe", "node", "lab")
    for part in ("Capacity", "Allocatable"):
        (section,) = re.findall(rf"^{part}:\n((?:  .*\n)+)", described, re.MULTILINE)
        found = dict(line.split() for line in section.splitlines())
        assert (found[f"{RED}:"], found[f"{BLUE}:"], found[f"{VFIO}:"]) == ("7", "7", "0")


@pytest.mark.usefixtures("unchanged")
def test_pods_get_the_vfs_that_kubelet_has_chosen(agent: Agent, node: Node, pods: Pods) -> None:
    networks = ("chosen-red", "chosen-blue")
    node.api.apply(objects.deployment("web", 2, *networks, resources=BOTH))
    until(lambda: len(pods.names("web")) == 2, 60, "two pods")
    names = pods.names("web")
    pods.await_running(*names)
    agents.require_each_its_own(pods, *names)
    (address,) = pods.networks(names[0])["net1"]["ips"]
    assert pods.reaches(names[1], address)
    node.api.delete("Deployment", "web")
    pods.await_gone(*names)


@pytest.mark.usefixtures("unchanged")
def test_pods_beyond_the_last_vf_wait_and_run_when_others_go(
    agent: Agent, node: Node, pods: Pods
) -> None:
    names = [f"many{number}" for number in range(9)]
    node.api.apply(*(objects.pod(n, "chosen-red", resources={RED: 1}) for n in names))
    until(lambda: len(pods.running()) == 7, 600, "seven running pods")
    waiting = set(names) - set(pods.running())
    told = "\n".join(pods.events())
    assert f"Insufficient {RED}" in told
    agents.require_each_its_own(pods, *pods.running())
    pods.delete(*pods.running(), seconds=600)
    pods.await_running(*waiting, seconds=600)
    assert agents.refused(node) == []
    pods.delete(*waiting)


def test_a_vf_bound_to_vfio_is_another_resources_and_a_pod_opens_its_device(
    agent: Agent, node: Node, pods: Pods
) -> None:
    run("modprobe", "vfio-pci")
    address = card.vf_address("eth1", 6)
    card.bind(address, "vfio-pci")
    agents.await_allocatable(node, 7, 6, 1)
    pods.run(objects.pod("dpdk", "chosen-vfio", resources={VFIO: 1}))
    assert agents.require_open("dpdk") == address
    assert agents.attached() == {address}
    pods.delete("dpdk")
    until(lambda: not agents.attached(), 60, "its return")
    card.bind(address, "")
    agents.await_allocatable(node, 7, 7, 0)


def test_vfs_that_are_made_and_removed_are_counted(agent: Agent, node: Node, pods: Pods) -> None:
    pods.run(objects.pod("staying", "chosen-red", resources={RED: 1}))
    card.enable_vfs("eth1", 0)
    agents.await_allocatable(node, 7, 0, 0)
    card.enable_vfs("eth1", 3)
    agents.await_allocatable(node, 7, 3, 0)
    pods.run(objects.pod("next", "chosen-blue", resources={BLUE: 1}))
    agents.require_each_its_own(pods, "staying", "next")
    pods.delete("staying", "next")
    card.enable_vfs("eth1", 0)
    card.enable_vfs("eth1", card.VFS)
    agents.await_allocatable(node, 7, 7, 0)


def test_a_resource_comes_and_goes_with_the_configuration(agent: Agent, node: Node) -> None:
    more = {"resourceName": "more", "selectors": {"pciAddresses": [card.vf_address("eth0", 6)]}}
    agents.configure([more, *agents.RESOURCES])
    until(lambda: agents.allocatable(node).get("example.com/more") == "1", 60, "a resource more")
    assert agents.allocatable(node)[RED] == "6"
    agents.configure(agents.RESOURCES)
    until(lambda: agents.allocatable(node)["example.com/more"] == "0", 60, "its end")
    until(lambda: agents.allocatable(node)[RED] == "7", 60, "its device where it was")

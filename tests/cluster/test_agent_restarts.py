# SPDX-License-Identifier: Apache-2.0
"""Kubelet and the agent killed, restarted and replaced, while pods with VFs come and go."""

import signal
from collections.abc import Iterator

import pytest

from tests import card
from tests.cluster import agents, objects
from tests.cluster.agents import BOTH, Agent
from tests.cluster.api import Object
from tests.cluster.node import Node, until
from tests.cluster.pods import Pods
from tests.plugin import run

NETWORKS = ("chosen-red", "chosen-blue")


@pytest.fixture
def agent(node: Node) -> Iterator[Agent]:
    """The agent, which has told kubelet of all VFs."""
    agents.install()
    node.api.apply(*agents.NETWORKS)
    agent = Agent("restarted")
    agent.start()
    agents.await_devices(node)
    yield agent
    agent.stop()


def pod(name: str) -> Object:
    """Return a pod with a VF of each card."""
    return objects.pod(name, *NETWORKS, resources=BOTH)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("killed", ["kubelet", "agent", "both"])
def test_killed_while_pods_come_and_go(killed: str, agent: Agent, node: Node, pods: Pods) -> None:
    """Kubelet may refuse a pod that has not run yet when it starts; a controller makes another.

    It admits pods as soon as it hears of them, whether a device plugin has answered by then or not:
    a third of a second after its registration server started, on a busy machine less.
    """
    pods.run(pod("going"), pod("staying"))
    before = agents.devices("staying")
    node.api.apply(objects.deployment("coming", 1, *NETWORKS, resources=BOTH))
    node.api.delete("Pod", "going")
    until(lambda: any(map(pods.is_starting, pods.names("coming"))), 60, "a pod on its way")
    if killed in ("agent", "both"):
        agent.stop(signal.SIGKILL)
        agent.start()
    if killed in ("kubelet", "both"):
        node.restart("kubelet")
    agents.await_devices(node)
    until(lambda: set(pods.names("coming")) & set(pods.running()), 240, "the Deployment's pod")
    pods.await_running("staying")
    pods.await_gone("going")
    assert agents.devices("staying") == before
    agents.require_each_its_own(pods, *pods.running())
    refused = agents.refused(node)
    print("refused by kubelet:", refused)
    assert killed != "agent" or not refused
    assert all("no healthy devices present" in words for words in refused)
    node.api.delete("Deployment", "coming")
    pods.delete("staying", *pods.names("coming"))


@pytest.mark.usefixtures("unchanged")
def test_an_agent_is_replaced_and_kubelet_keeps_the_list(
    agent: Agent, node: Node, pods: Pods
) -> None:
    pods.run(pod("staying"))
    log = node.programs["kubelet"].log
    length = log.stat().st_size
    successor = Agent("successor")
    successor.start()
    node.api.apply(pod("between"))
    agent.stop()
    node.api.apply(pod("after"))
    pods.await_running("between", "after")
    told = log.read_text()[length:]
    assert told.count("Device plugin connected") == 3
    assert "Last device plugin for this resource disconnected" not in told
    assert agents.refused(node) == []
    agents.require_each_its_own(pods, "staying", "between", "after")
    pods.delete("staying", "between", "after")
    successor.stop()


def test_kubelet_finds_the_agent_by_itself_and_containerd_gives_devices_by_cdi(
    node: Node, pods: Pods
) -> None:
    agents.install()
    node.api.apply(*agents.NETWORKS)
    run("modprobe", "vfio-pci")
    address = card.vf_address("eth1", 5)
    card.bind(address, "vfio-pci")
    agent = Agent("watched", "--registration", "watcher", "--use-cdi")
    agent.start()
    agents.await_allocatable(node, 7, 6, 1)
    pods.run(objects.pod("dpdk", "chosen-vfio", resources={agents.VFIO: 1}))
    assert agents.require_open("dpdk") == address
    assert "registered with kubelet" not in agent.log()
    pods.delete("dpdk")
    card.bind(address, "")
    agents.await_devices(node)
    agent.stop()

# SPDX-License-Identifier: Apache-2.0
"""Kubelet and the agent killed, restarted and replaced, while pods with VFs come and go."""

import signal
from collections.abc import Iterator

import pytest

from tests.cluster import agents, objects
from tests.cluster.agents import BOTH, Agent
from tests.cluster.api import Object
from tests.cluster.node import Node, until
from tests.cluster.pods import Pods

pytestmark = pytest.mark.usefixtures("unchanged")
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


@pytest.mark.parametrize("killed", ["kubelet", "agent", "both"])
def test_killed_while_pods_come_and_go(killed: str, agent: Agent, node: Node, pods: Pods) -> None:
    pods.run(pod("going"), pod("staying"))
    before = agents.devices("staying")
    node.api.apply(pod("coming"))
    node.api.delete("Pod", "going")
    until(lambda: pods.is_starting("coming"), 60, "a pod on its way")
    if killed in ("agent", "both"):
        agent.stop(signal.SIGKILL)
        agent.start()
    if killed in ("kubelet", "both"):
        node.restart("kubelet")
    agents.await_devices(node)
    pods.await_running("coming", "staying")
    pods.await_gone("going")
    assert agents.devices("staying") == before
    agents.require_each_its_own(pods, "coming", "staying")
    assert agents.refused(node) == []
    pods.delete("coming", "staying")


def test_an_agent_is_replaced_and_kubelet_keeps_the_list(
    agent: Agent, node: Node, pods: Pods
) -> None:
    pods.run(pod("staying"))
    log = node.programs["kubelet"].log
    length = log.stat().st_size
    successor = Agent("successor")
    successor.start()
    until(lambda: successor.log().count("registered with kubelet") == 3, 60, "a successor")
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

# SPDX-License-Identifier: Apache-2.0
"""The agent as deploy/agent/ runs it: a pod on each node, replaced by the next without a gap."""

import json
import urllib.request
from collections.abc import Iterator

import pytest

from tests.cluster import agents, objects
from tests.cluster.installation import PROJECT
from tests.cluster.node import Node, until
from tests.cluster.pods import Pods
from tests.plugin import run

DEPLOY = str(PROJECT / "deploy" / "agent")
NAMESPACE = "kube-system"


@pytest.fixture(scope="module")
def daemonset(node: Node) -> Iterator[None]:
    """The DaemonSet, ready, with this node's resources in its ConfigMap."""
    node.api.apply(*agents.NETWORKS)
    run("kubectl", "apply", "-k", DEPLOY)
    resources = [{**each, "resourcePrefix": agents.PREFIX} for each in agents.RESOURCES]
    config = {"config.json": json.dumps({"resourceList": resources})}
    metadata = {"name": "sriov-agent", "namespace": NAMESPACE}
    node.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": config})
    agents.await_devices(node)
    until(lambda: is_ready(node), 240, "a DaemonSet that is ready")
    yield
    run("kubectl", "delete", "-k", DEPLOY)


def is_ready(node: Node) -> bool:
    """Say whether the agent's pod is ready: kubelet follows all its lists."""
    found = node.api.get("DaemonSet", "sriov-agent", NAMESPACE)
    return found is not None and found["status"].get("numberReady", 0) == 1


def agent_pods(node: Node) -> list[str]:
    """Return the names of the agent's pods."""
    found = node.api.list("Pod", NAMESPACE, labels="app.kubernetes.io/name=sriov-agent")
    return [each["metadata"]["name"] for each in found]


def metrics() -> str:
    """Return what the agent tells Prometheus."""
    with urllib.request.urlopen("http://127.0.0.1:9808/metrics", timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.usefixtures("daemonset", "unchanged")
def test_a_pod_gets_its_vfs_and_metrics_tell_of_it(node: Node, pods: Pods) -> None:
    pods.run(objects.pod("metered", "chosen-red", "chosen-blue", resources=agents.BOTH))
    agents.require_each_its_own(pods, "metered")
    told = metrics()
    assert 'sriov_devices{resource="example.com/red",state="attached"} 1.0' in told
    assert 'sriov_devices{resource="example.com/red",state="free"} 6.0' in told
    counted = [line for line in told.splitlines() if line.startswith("sriov_pod_tx_bytes_total")]
    assert len([line for line in counted if 'pod="metered"' in line]) == 2
    said = run("kubectl", "-n", NAMESPACE, "logs", "daemonset/sriov-agent")
    assert "example.com/red: registered with kubelet" in said
    pods.delete("metered")


@pytest.mark.usefixtures("daemonset", "unchanged")
def test_its_pod_is_replaced_and_kubelet_keeps_the_list(node: Node, pods: Pods) -> None:
    pods.run(objects.pod("staying", "chosen-red", resources={agents.RED: 1}))
    (old,) = agent_pods(node)
    log = node.programs["kubelet"].log
    length = log.stat().st_size
    run("kubectl", "-n", NAMESPACE, "rollout", "restart", "daemonset/sriov-agent")
    until(lambda: agent_pods(node) not in ([], [old]), 120, "another pod")
    node.api.apply(objects.pod("between", "chosen-red", resources={agents.RED: 1}))
    until(lambda: len(agent_pods(node)) == 1 and old not in agent_pods(node), 240, "one pod again")
    pods.run(objects.pod("after", "chosen-red", resources={agents.RED: 1}))
    pods.await_running("between")
    assert "Last device plugin for this resource disconnected" not in log.read_text()[length:]
    assert agents.refused(node) == []
    agents.require_each_its_own(pods, "staying", "between", "after")
    pods.delete("staying", "between", "after")

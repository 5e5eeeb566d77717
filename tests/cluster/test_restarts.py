# SPDX-License-Identifier: Apache-2.0
"""Programs of the node killed and started anew, while pods come and go."""

import pytest

from tests.cluster import objects
from tests.cluster.node import Node, until
from tests.cluster.pods import Pods

pytestmark = pytest.mark.usefixtures("unchanged")


@pytest.mark.parametrize("killed", ["kubelet", "containerd", "multus-daemon"])
def test_killed_while_pods_come_and_go(killed: str, node: Node, pods: Pods) -> None:
    pods.run(objects.pod("going", "red", "blue"), objects.pod("staying", "red", "blue"))
    node.api.apply(objects.pod("coming", "red", "blue"))
    node.api.delete("Pod", "going")
    until(lambda: pods.is_starting("coming"), 60, "a pod on its way")
    node.restart(killed)
    pods.await_running("coming", "staying")
    pods.await_gone("going")
    (address,) = pods.networks("staying")["net1"]["ips"]
    assert pods.reaches("coming", address)
    pods.delete("coming", "staying")


def test_a_sandbox_that_is_killed_comes_again_with_its_networks(node: Node, pods: Pods) -> None:
    pods.run(objects.pod("killed", "red", "blue"), objects.pod("beside", "red", "blue"))
    first = pods.sandbox("killed")
    pods.kill_sandbox("killed")
    until(lambda: pods.sandbox("killed") not in (0, first), 240, "a new sandbox")
    pods.await_running("killed")
    (address,) = pods.networks("beside")["net2"]["ips"]
    assert pods.reaches("killed", address)
    pods.delete("killed", "beside")


def test_a_pod_deleted_by_force_while_kubelet_is_away(node: Node, pods: Pods) -> None:
    pods.run(objects.pod("forced", "red", "blue"))
    node.programs["kubelet"].stop()
    node.api.delete("Pod", "forced", grace=0)
    pods.await_gone("forced")
    node.restart("kubelet")  # `unchanged` waits for its DEL

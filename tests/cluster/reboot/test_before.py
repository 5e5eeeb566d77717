# SPDX-License-Identifier: Apache-2.0
"""The first boot of two: pods run, then the node loses its power."""

import signal

from tests.cluster import objects
from tests.cluster.node import Node
from tests.cluster.pods import Pods
from tests.cluster.reboot import disks


def test_a_node_with_pods_loses_its_power(node: Node, pods: Pods) -> None:
    pods.run(*(objects.pod(name, "red", "blue") for name in disks.PODS))
    for program in reversed(node.programs.values()):
        program.stop(signal.SIGKILL)
    disks.save()

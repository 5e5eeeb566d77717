# SPDX-License-Identifier: Apache-2.0
"""More pods than VFs, all at once."""

import pytest

from tests import card
from tests.cluster import objects
from tests.cluster.node import Node, until
from tests.cluster.pods import Pods

PODS = 20


@pytest.mark.usefixtures("unchanged")
def test_pods_without_a_vf_run_when_others_are_gone(node: Node, pods: Pods) -> None:
    vfs = len(card.PFS) * card.VFS
    names = [f"many{number}" for number in range(PODS)]
    networks = [("red", "blue")[number % 2] for number in range(PODS)]
    node.api.apply(*map(objects.pod, names, networks))
    until(lambda: len(pods.running()) == vfs, 600, f"{vfs} running pods")
    waiting = set(names) - set(pods.running())
    until(lambda: _told(pods, "no free VF") >= waiting, 120, "events that say why pods wait")
    assert "no free VF" in node.programs["containerd"].log.read_text()
    pods.delete(*pods.running(), seconds=600)
    pods.await_running(*waiting, seconds=600)
    pods.delete(*waiting)


def _told(pods: Pods, reason: str) -> set[str]:
    """Return the pods of which `kubectl describe pod` shows a warning with these words."""
    return {event.partition(":")[0] for event in pods.events() if reason in event}

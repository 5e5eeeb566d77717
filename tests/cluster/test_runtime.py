# SPDX-License-Identifier: Apache-2.0
"""The plugin as the container runtime's own: a pod's only interface is on a VF, without Multus.

containerd calls STATUS whenever kubelet asks how it does; containerd 2.4 makes no call of GC.
"""

import json
from collections.abc import Iterator

import pytest

from tests.cluster import objects
from tests.cluster.node import NETWORKS, Node, until
from tests.cluster.pods import Pods

pytestmark = pytest.mark.usefixtures("unchanged")

FIRST = NETWORKS / "00-sriov.conflist"  # containerd takes the first by name
MULTUS = NETWORKS / "00-multus.conf"  # its daemon writes it


@pytest.fixture
def alone(node: Node) -> Iterator[None]:
    """A node whose runtime knows this plugin instead of Multus."""
    node.programs["multus-daemon"].stop()
    MULTUS.unlink(missing_ok=True)
    write("eth0")
    yield
    FIRST.unlink()
    node.restart("multus-daemon")
    until(lambda: MULTUS.exists() and node.is_ready(), 120, "a node that is ready with Multus")


def write(pf: str) -> None:
    plugin = {"type": "sriov", "master": pf, "ipam": objects.addresses("10.3.0")}
    network = {"cniVersion": "1.1.0", "name": "only", "plugins": [plugin]}
    FIRST.write_text(json.dumps(network), encoding="ascii")


@pytest.mark.usefixtures("alone")
def test_a_pods_only_interface_is_on_a_vf(pods: Pods) -> None:
    pods.run(objects.pod("left"), objects.pod("right"))
    (link,) = pods.link("left", "eth0")
    (address,) = [each["local"] for each in link["addr_info"] if each["scope"] == "global"]
    assert address.startswith("10.3.0.")
    assert pods.reaches("right", address)
    pods.delete("left", "right")


@pytest.mark.usefixtures("alone")
def test_a_node_without_the_card_is_not_ready_and_says_why(node: Node) -> None:
    write("eth9")
    until(lambda: not node.is_ready(), 120, "a node that is not ready")
    assert "eth9" in node.why_not_ready()
    write("eth0")
    until(node.is_ready, 120, "a node that is ready again")

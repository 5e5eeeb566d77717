# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the cluster: one node for all tests, on which deploy/ has installed the plugin."""

from collections.abc import Iterator

import pytest

from tests import card
from tests.cluster import installation
from tests.cluster.node import Node, until_equal
from tests.cluster.pods import Pods

ORDINARY = ("cni0", "veth")  # devices of the pods' ordinary network


@pytest.fixture(scope="session")
def node() -> Node:
    """A node with seven VFs on each of two cards, whose plugin a DaemonSet installed."""
    return installation.start()


@pytest.fixture
def pods(node: Node) -> Pods:
    """The pods of the default namespace."""
    return Pods(node.api)


@pytest.fixture
def unchanged(node: Node) -> Iterator[None]:
    """Assert that soon after the test the host's VFs, records and leases are as before.

    Kubelet may tell of a pod's end while its DEL is still on its way.
    """
    before = _state()
    yield
    until_equal(_state, before, 120)


def _state() -> dict[str, object]:
    """Return the state of the cards, and all that the plugin keeps."""
    state = card.state()
    for part in ("devices", "settings", "VFs"):
        devices = state[part]
        assert isinstance(devices, dict)
        state[part] = {
            name: value for name, value in devices.items() if not name.startswith(ORDINARY)
        }
    return state

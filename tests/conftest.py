# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a fresh node with one PF and a pod for every test."""

from collections.abc import Iterator

import pytest

from tests.node import Node


@pytest.fixture
def node() -> Iterator[Node]:
    """A node whose PF eth1 has three free VFs."""
    with Node() as node:
        node.add_pf("eth1", vfs=3)
        yield node


@pytest.fixture
def pod(node: Node) -> str:
    """The path of a pod's namespace."""
    return node.add_pod("pod")

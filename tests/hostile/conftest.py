# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a fresh node with one PF and a pod for every test."""

from tests.namespaces.conftest import node, pod

__all__ = ["node", "pod"]

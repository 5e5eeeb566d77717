# SPDX-License-Identifier: Apache-2.0
"""Making a node's file from what there is: policies, a ConfigMap, the node itself."""

from sriovctl.importing.running import from_node

__all__ = ["from_node"]

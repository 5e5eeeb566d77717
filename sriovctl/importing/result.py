# SPDX-License-Identifier: Apache-2.0
"""What comes of an import: a node's file without faults, and what is left out of it."""

import json
from collections.abc import Sequence
from typing import Any

from sriov_cni.cni.document import JsonObject
from sriov_node import node_file
from sriov_node.device_plugin import configuration as device_plugin
from sriov_node.fields import Fault, Findings
from sriov_node.node_file import NodeFile, NodeFiles
from sriov_node.preparation import configuration as preparation


def checked(
    functions: Sequence[Any], resources: Sequence[Any], prefix: str, findings: Findings
) -> JsonObject:
    """Return a node's file of those that its readers take; of the others, findings say why not.

    `prefix` is that of resources without one.
    """
    findings.resource = ""
    wanted: list[Any] = []
    for function in functions:
        file = NodeFile("", {node_file.FUNCTIONS: [function]})
        faults = preparation.wanted_by(NodeFiles((file,))).faults
        _leave_out(faults, findings)
        wanted += [] if faults else [function]
    served: list[Any] = []
    for resource in resources:
        if resource in served:
            continue
        content = json.dumps({"resourceList": [*served, resource]}).encode()
        faults = device_plugin.parse(content, prefix).faults
        _leave_out(faults, findings)
        served += [] if faults else [resource]
    found = {node_file.FUNCTIONS: wanted, node_file.RESOURCES: served}
    return {key: value for key, value in found.items() if value}


def _leave_out(faults: Sequence[Fault], findings: Findings) -> None:
    for fault in faults:
        findings.warn(f"left out: {fault.key} is {fault.value}, it must be {fault.right}")

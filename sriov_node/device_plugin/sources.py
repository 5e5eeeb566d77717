# SPDX-License-Identifier: Apache-2.0
"""Where the configuration comes from: the device plugin's own file, and the node's files."""

import os
from collections.abc import Iterator

from sriov_node import node_file
from sriov_node.device_plugin import configuration
from sriov_node.device_plugin.configuration import Configuration
from sriov_node.device_plugin.resource import Resource
from sriov_node.fields import Findings, fields
from sriov_node.node_file import NodeFile, NodeFiles


def read_all(path: str, node_files: str, default_prefix: str) -> Configuration:
    """Return the configuration in a file, and after it what the node's files add to that.

    `node_files` is their directory (node_file.py). With them, the file itself may be missing.
    """
    files = node_file.read(node_files)
    if files == NodeFiles():
        return configuration.read(path, default_prefix)
    # a slip in the only file must not send anybody looking for another
    own = configuration.read(path, default_prefix) if os.path.exists(path) else Configuration()
    findings = Findings()
    findings.faults += files.faults
    places = {resource.name: f"{path}: resourceList" for resource in own.resources}
    more = [
        resource
        for file in files.files
        for resource in _of_node_file(file, default_prefix, places, findings)
    ]
    return Configuration(
        (*own.resources, *more),
        (*own.faults, *findings.faults),
        (*own.warnings, *findings.warnings),
    )


def _of_node_file(
    file: NodeFile, default_prefix: str, places: dict[str, str], findings: Findings
) -> Iterator[Resource]:
    """Yield a file's resources; what is wrong with its other keys, the preparation tells."""
    where = f"{file.path}: "
    given = fields(file.values, node_file.KEYS, where, Findings())._replace(findings=findings)
    findings.resource = ""  # what is wrong with the list is the document's fault
    listed = given.values.get(node_file.RESOURCES)
    if listed is None:
        return
    if not isinstance(listed, list):
        given.wrong(node_file.RESOURCES, "a list of resources, [] for none")
        return
    place = f"{where}{node_file.RESOURCES}"
    yield from configuration.resources_of(listed, place, default_prefix, places, findings)


def without_regress(before: Configuration, now: Configuration) -> Configuration:
    """Return a new configuration, in which a resource that has a fault stays what it was.

    All do, if the document itself has one: a slip of whoever edits it takes no resource away.
    """
    faulty = {fault.resource for fault in now.faults}
    names = {resource.name for resource in now.resources}
    kept = [r for r in before.resources if r.name not in names and faulty & {"", r.name}]
    return now._replace(resources=(*now.resources, *kept))

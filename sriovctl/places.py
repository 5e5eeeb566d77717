# SPDX-License-Identifier: Apache-2.0
"""Where things are on this node: the global options of every command."""

from typing import NamedTuple

import click

from sriov_node import node_file
from sriov_node.kubelet import paths


class Places(NamedTuple):
    """The files and directories that a command looks at.

    `config_dir` has the node's files (node_file.py), `config_file` is the device plugin's own
    configuration, `data_dir` the CNI plugin's state directory, `kubelet_dir` kubelet's --root-dir.
    """

    data_dir: str = "/var/lib/cni/sriov"
    config_dir: str = node_file.DIRECTORY
    config_file: str = "/etc/pcidp/config.json"
    resource_prefix: str = "intel.com"
    kubelet_dir: str = paths.KUBELET


pass_places = click.make_pass_decorator(Places)

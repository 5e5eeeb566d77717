# SPDX-License-Identifier: Apache-2.0
"""A node with VFs, networks, and this plugin as deploy/ installs it."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import card
from tests.cluster import objects
from tests.cluster.node import Node, until
from tests.plugin import run
from tools import image, oci

PROJECT = Path(__file__).parents[2]
IMAGE = PROJECT / "release" / "sriov-cni-image.tar"


def start() -> Node:
    """Start the node, unless it runs already, and install the plugin."""
    node = Node()
    node.start()
    for pf in card.PFS:
        card.enable_vfs(pf, card.VFS)
    busybox = f"{os.environ['SRIOV_CNI_CACHE']}/busybox"
    with TemporaryDirectory() as directory:
        lab = Path(directory) / "lab.tar"
        lab.write_bytes(oci.archive(image.plain(busybox), [objects.IMAGE]))
        node.import_image(lab)
    node.import_image(IMAGE)
    run("kubectl", "apply", "-k", str(PROJECT / "deploy" / "node"))
    until(lambda: is_installed(node), 240, "a DaemonSet that has installed the plugin")
    node.api.apply(objects.RED, objects.BLUE, objects.GREEN)
    return node


def is_installed(node: Node) -> bool:
    """Say whether the DaemonSet's pod on this node is ready, which it is when its plugin starts."""
    daemons = node.api.get("DaemonSet", "sriov-cni", "kube-system")
    return daemons is not None and daemons["status"].get("numberReady", 0) == 1

# SPDX-License-Identifier: Apache-2.0
"""Who has which device, for programs that ask kubelet once, if it runs at all."""

import os
import stat
from collections.abc import Mapping
from typing import NamedTuple

from sriov_node.kubelet import paths


class Holder(NamedTuple):
    """The container that kubelet has given a device to, and for which resource."""

    namespace: str
    pod: str
    container: str
    resource: str


async def ask(kubelet_dir: str) -> Mapping[str, Holder] | None:
    """Return who has which device, by device ID; None if kubelet cannot be asked."""
    socket = paths.pod_resources(kubelet_dir)
    if not _is_socket(socket):
        return None
    # a quarter of such a program's start, and at boot there is no kubelet yet
    from sriov_node.kubelet import pod_resources

    return await pod_resources.holders(socket)


async def ask_resources(kubelet_dir: str) -> frozenset[str] | None:
    """Return the resources of which kubelet knows healthy devices; None if it cannot be asked."""
    socket = paths.pod_resources(kubelet_dir)
    if not _is_socket(socket):
        return None
    from sriov_node.kubelet import pod_resources

    return await pod_resources.resources(socket)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False

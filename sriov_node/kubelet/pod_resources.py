# SPDX-License-Identifier: Apache-2.0
"""Which container has which device, as kubelet tells it (PodResourcesLister, v1)."""

import asyncio
import logging
from collections.abc import Mapping
from typing import NamedTuple

from grpclib.client import Channel

from sriov_node.kubelet.api.podresources_grpc import PodResourcesListerStub
from sriov_node.kubelet.api.podresources_pb2 import ListPodResourcesRequest
from sriov_node.kubelet.calls import FAILURES, words

PATIENCE = 2.0  # seconds

_log = logging.getLogger(__name__)


class Holder(NamedTuple):
    """The container that kubelet has given a device to, and for which resource."""

    namespace: str
    pod: str
    container: str
    resource: str


async def holders(socket_path: str) -> Mapping[str, Holder] | None:
    """Return who has which device, by device ID; None if kubelet cannot be asked.

    An init container's devices may be another container's of its pod, too; the last one counts.
    """
    channel = Channel(path=socket_path)
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await PodResourcesListerStub(channel).List(ListPodResourcesRequest())
    except FAILURES as error:
        _log.debug("%s does not tell which pod has what: %s", socket_path, words(error))
        return None
    finally:
        channel.close()
    return {
        device_id: Holder(pod.namespace, pod.name, container.name, devices.resource_name)
        for pod in answer.pod_resources
        for container in pod.containers
        for devices in container.devices
        for device_id in devices.device_ids
    }

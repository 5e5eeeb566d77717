# SPDX-License-Identifier: Apache-2.0
"""Which container has which device, as kubelet tells it (PodResourcesLister, v1)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from grpclib.client import Channel

from sriov_node.kubelet.api.podresources_grpc import PodResourcesListerStub
from sriov_node.kubelet.api.podresources_pb2 import (
    AllocatableResourcesRequest,
    ListPodResourcesRequest,
)
from sriov_node.kubelet.calls import FAILURES, words
from sriov_node.kubelet.holder import Holder

PATIENCE = 2.0  # seconds

_log = logging.getLogger(__name__)


async def holders(socket_path: str) -> Mapping[str, Holder] | None:
    """Return who has which device, by device ID; None if kubelet cannot be asked.

    An init container's devices may be another container's of its pod, too; the last one counts.
    """
    async with _asking(socket_path) as kubelet:
        answer = await kubelet.List(ListPodResourcesRequest())
        return {
            device_id: Holder(pod.namespace, pod.name, container.name, devices.resource_name)
            for pod in answer.pod_resources
            for container in pod.containers
            for devices in container.devices
            for device_id in devices.device_ids
        }
    return None


async def resources(socket_path: str) -> frozenset[str] | None:
    """Return the resources of which kubelet knows healthy devices; None if it cannot be asked."""
    async with _asking(socket_path) as kubelet:
        answer = await kubelet.GetAllocatableResources(AllocatableResourcesRequest())
        return frozenset(devices.resource_name for devices in answer.devices)
    return None


@asynccontextmanager
async def _asking(socket_path: str) -> AsyncIterator[PodResourcesListerStub]:
    """Ask kubelet for the length of a with-statement, which its silence or a refusal ends."""
    channel = Channel(path=socket_path)
    try:
        async with asyncio.timeout(PATIENCE):
            yield PodResourcesListerStub(channel)
    except FAILURES as error:
        _log.debug("%s does not tell of pods and devices: %s", socket_path, words(error))
    finally:
        channel.close()

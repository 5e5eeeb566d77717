# SPDX-License-Identifier: Apache-2.0
"""The service of one resource: what kubelet calls to learn of devices, and to give them away."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from sriov_cni.kernel.errors import KernelError
from sriov_node.device_plugin import cdi, device_info
from sriov_node.device_plugin.allocation import RefusedError, allot
from sriov_node.device_plugin.pool import Offer, Pool
from sriov_node.device_plugin.preference import preferred
from sriov_node.device_plugin.publication import Publication
from sriov_node.device_plugin.resource import Allocation
from sriov_node.kubelet import paths
from sriov_node.kubelet.api import deviceplugin_pb2 as api
from sriov_node.kubelet.api.deviceplugin_grpc import DevicePluginBase
from sriov_node.kubelet.calls import received
from sriov_node.kubelet.discovery import Discovery
from sriov_node.kubelet.listener import Listener

_PATIENCE = 0.2  # seconds that a refusal waits for the list that explains it
_log = logging.getLogger(__name__)


class Files(NamedTuple):
    """Directories with what containers and networks are told; `cdi` is None without --use-cdi.

    `root` is where the host's /sys and /dev are.
    """

    device_info: str = device_info.DIRECTORY
    cdi: str | None = None
    root: str = ""


class _Watcher:
    """A caller of ListAndWatch: what it has been sent, and that there is something new."""

    def __init__(self) -> None:
        self.sent: api.ListAndWatchResponse | None = None
        self.news = asyncio.Event()
        self.told = asyncio.Event()  # it has the newest list
        self.over = False


class Endpoint(DevicePluginBase):
    """Serves a pool at a socket in a directory of kubelet's.

    Raises ValueError if the socket's path would be too long. `when_left` is called when the stream
    ends at which kubelet follows the list: as kubelet has it, no device is healthy then.
    `when_refused` is called when kubelet asks for what is not as the pool has it.
    `note_allocate` is called with the resource after each Allocate, and the seconds that it took.
    """

    def __init__(
        self,
        pool: Pool,
        directory: str,
        files: Files,
        note_allocate: Callable[[str, float], None] = lambda resource, seconds: None,
    ) -> None:
        self._pool = pool
        self._note_allocate = note_allocate
        self._list = _announcement(pool)
        self._files = files
        self._watchers: list[_Watcher] = []
        self._kubelet: _Watcher | None = None
        self.when_left: Callable[[], None] = lambda: None
        self.when_refused: Callable[[], None] = lambda: None
        self.socket_name = paths.socket_name(pool.resource.name)
        path = f"{directory}/{self.socket_name}"
        self.listener = Listener(path, [self, Discovery(pool.resource.name, path)])
        self._device_info = Publication(files.device_info)
        self._cdi = _cdi_files(pool.resource.name, files.cdi)

    @property
    def resource(self) -> str:
        """The resource's full name."""
        return self._pool.resource.name

    @property
    def watched(self) -> bool:
        """Whether kubelet follows the list."""
        return self._kubelet is not None

    @property
    def options(self) -> api.DevicePluginOptions:
        """What kubelet may ask for."""
        has_preference = self._pool.resource.allocation is not Allocation.NONE
        return api.DevicePluginOptions(get_preferred_allocation_available=has_preference)

    def expect_kubelet(self) -> None:
        """Take the next stream that follows the list for kubelet's, which is being registered."""
        self._kubelet = None

    async def start(self) -> None:
        """Write the files of the devices, and serve if kubelet's directory is there already."""
        self._publish()
        with suppress(OSError):  # the registrar tries again, and says why
            await self.listener.place()

    def update(self, pool: Pool) -> None:
        """Have another pool of the same resource; streams learn what kubelet sees of it.

        They end if its preference has come or gone: kubelet learns that with a registration.
        """
        if pool == self._pool:
            return
        options = self.options
        self._pool = pool
        self._publish()
        if self.options != options:  # which kubelet asks for but once
            self._end_streams()
        announcement = _announcement(pool)
        if announcement != self._list:
            self._list = announcement
            self._wake_watchers()

    async def stop(self, *, remove: bool) -> None:
        """End serving. `remove`: the resource is no more, and its files go as well."""
        self._end_streams()
        await self._tell_watchers()  # they end properly before their server does
        if remove:
            self._withdraw()
        await self.listener.close()

    async def GetDevicePluginOptions(  # noqa: N802
        self, stream: Stream[api.Empty, api.DevicePluginOptions]
    ) -> None:
        """Answer which of the optional calls kubelet may make."""
        await received(stream)
        await stream.send_message(self.options)

    async def ListAndWatch(  # noqa: N802
        self, stream: Stream[api.Empty, api.ListAndWatchResponse]
    ) -> None:
        """Send the list at once and after each change, for as long as the caller listens."""
        await received(stream)
        watcher = _Watcher()
        self._watchers.append(watcher)
        self._kubelet = self._kubelet or watcher
        try:
            while not watcher.over:
                watcher.news.clear()
                if watcher.sent is not self._list:
                    watcher.sent = self._list
                    await stream.send_message(watcher.sent)
                else:
                    watcher.told.set()
                    await watcher.news.wait()
        finally:
            self._watchers.remove(watcher)
            watcher.told.set()
            if watcher is self._kubelet:
                self._kubelet = None
                self.when_left()

    async def GetPreferredAllocation(  # noqa: N802
        self, stream: Stream[api.PreferredAllocationRequest, api.PreferredAllocationResponse]
    ) -> None:
        """Answer which devices a container had better get."""
        request = await received(stream)
        answer = api.PreferredAllocationResponse()
        for container in request.container_requests:
            ids = preferred(
                self._pool,
                container.available_deviceIDs,
                container.must_include_deviceIDs,
                container.allocation_size,
            )
            answer.container_responses.add(deviceIDs=ids)
        await stream.send_message(answer)

    async def Allocate(  # noqa: N802
        self, stream: Stream[api.AllocateRequest, api.AllocateResponse]
    ) -> None:
        """Answer what containers get; refuse with a reason what is not there to be given."""
        request = await received(stream)
        began = time.monotonic()
        answer = api.AllocateResponse()
        try:
            for container in request.container_requests:
                answer.container_responses.append(self._allocate(container.devices_ids))
        except RefusedError as refusal:
            _log.warning("%s: kubelet gets no %s", self.resource, refusal)
            await self._explain(refusal)
            self.when_refused()
            raise GRPCError(Status.FAILED_PRECONDITION, str(refusal)) from None
        except (KernelError, OSError) as error:
            _log.error("%s: kubelet gets no device: %s", self.resource, error)
            raise GRPCError(Status.INTERNAL, str(error)) from None
        finally:
            self._note_allocate(self.resource, time.monotonic() - began)
        await stream.send_message(answer)

    async def PreStartContainer(  # noqa: N802
        self, stream: Stream[api.PreStartContainerRequest, api.PreStartContainerResponse]
    ) -> None:
        """Do nothing; kubelet is told not to call this."""
        await received(stream)
        await stream.send_message(api.PreStartContainerResponse())

    def _allocate(self, ids: Iterable[str]) -> api.ContainerAllocateResponse:
        ids = tuple(dict.fromkeys(ids))
        allotment = allot(self._pool, ids, self._files.root)
        for device_id in ids:
            self._put_device_info(self._pool.offers[device_id])
        answer = api.ContainerAllocateResponse(envs=allotment.variables)
        if self._cdi is not None:
            for name, content in cdi.specification(self._pool, self._files.root).items():
                self._cdi.put(name, content)
            for device_id in ids:
                answer.cdi_devices.add(name=cdi.device_name(self.resource, device_id))
            return answer
        for node in allotment.nodes:
            answer.devices.add(container_path=node.path, host_path=node.host_path, permissions="rw")
        return answer

    async def _explain(self, refusal: RefusedError) -> None:
        """Let whoever follows the list have it as the refusal shows it, before the refusal."""
        offer = self._pool.offers.get(refusal.device)
        if offer is not None and offer.healthy:
            unhealthy = offer._replace(reason=refusal.reason)
            offers = {**self._pool.offers, refusal.device: unhealthy}
            self._pool = self._pool._replace(offers=offers)
        self._list = _announcement(self._pool)
        await self._tell_watchers()

    def _end_streams(self) -> None:
        for watcher in self._watchers:
            watcher.over = True
        self._wake_watchers()

    async def _tell_watchers(self) -> None:
        """Have streams go on, and wait a moment for those whose callers listen."""
        self._wake_watchers()
        told = [asyncio.ensure_future(watcher.told.wait()) for watcher in self._watchers]
        if told:
            _, late = await asyncio.wait(told, timeout=_PATIENCE)
            for task in late:
                task.cancel()

    def _wake_watchers(self) -> None:
        for watcher in self._watchers:
            watcher.told.clear()
            watcher.news.set()

    def _publish(self) -> None:
        try:
            self._device_info.update(device_info.contents(self._pool))
            if self._cdi is not None:
                self._cdi.update(cdi.specification(self._pool, self._files.root))
        except OSError as error:
            _log.error("%s: devices are not described to networks: %s", self.resource, error)

    def _put_device_info(self, offer: Offer) -> None:
        name = device_info.name(self.resource, offer.device.id)
        try:
            self._device_info.put(name, device_info.content(offer))
        except OSError as error:  # a container does without it
            _log.error("%s: %s is not described: %s", self.resource, offer.device.id, error)

    def _withdraw(self) -> None:
        try:
            self._device_info.update({})
            if self._cdi is not None:
                self._cdi.update({})
        except OSError as error:
            _log.error("%s: a file of its devices stays: %s", self.resource, error)


def _cdi_files(resource: str, directory: str | None) -> Publication | None:
    if directory is not None and not cdi.is_kind(resource):
        _log.warning("%s: CDI cannot have a kind of this name: containers get nodes", resource)
        return None
    return Publication(directory) if directory is not None else None


def _announcement(pool: Pool) -> api.ListAndWatchResponse:
    announcement = api.ListAndWatchResponse()
    for device_id, offer in pool.offers.items():
        device = announcement.devices.add(ID=device_id)
        device.health = "Healthy" if offer.healthy else "Unhealthy"
        numa_node = offer.device.numa_node
        if numa_node is not None and numa_node >= 0 and not pool.resource.exclude_topology:
            device.topology.nodes.add(ID=numa_node)
    return announcement

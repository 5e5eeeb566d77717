# SPDX-License-Identifier: Apache-2.0
"""A kubelet as device plugins know it, behaving as pkg/kubelet/cm/devicemanager of 1.37 does.

It lives in the test's own event loop and has real sockets. Its allocations outlive a restart, as
kubelet's checkpoint does; what it knows of plugins does not.
"""

import asyncio
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream

from sriov_node.kubelet.api import deviceplugin_pb2 as api
from sriov_node.kubelet.api import pluginregistration_pb2 as discovery_api
from sriov_node.kubelet.api import podresources_pb2 as pods_api
from sriov_node.kubelet.api.deviceplugin_grpc import DevicePluginStub, RegistrationBase
from sriov_node.kubelet.api.pluginregistration_grpc import RegistrationStub as DiscoveryStub
from sriov_node.kubelet.api.podresources_grpc import PodResourcesListerBase

DIAL = 10.0  # seconds for a plugin to answer within Register
DISCOVERY = 1.0  # seconds for GetInfo


class AdmissionError(Exception):
    """A pod is not admitted: UnexpectedAdmissionError, as its status says."""


class Allocated(NamedTuple):
    """What a container has been given."""

    pod: str
    resource: str
    ids: tuple[str, ...]
    answer: api.ContainerAllocateResponse


class _Client:
    """Kubelet's end of one registered plugin."""

    def __init__(self, resource: str, path: str) -> None:
        self.resource = resource
        self.path = path
        self.channel = Channel(path=path)
        self.stub = DevicePluginStub(self.channel)
        self.options = api.DevicePluginOptions()


class _PodResources(PodResourcesListerBase):
    """Tells of containers that run, and of devices that are healthy."""

    def __init__(self, kubelet: "Kubelet") -> None:
        self._kubelet = kubelet

    async def List(  # noqa: N802
        self, stream: Stream[pods_api.ListPodResourcesRequest, pods_api.ListPodResourcesResponse]
    ) -> None:
        """Answer which container has what."""
        await stream.recv_message()
        answer = pods_api.ListPodResourcesResponse()
        for given in self._kubelet.running:
            pod = answer.pod_resources.add(name=given.pod, namespace="default")
            container = pod.containers.add(name="main")
            container.devices.add(resource_name=given.resource, device_ids=given.ids)
        await stream.send_message(answer)

    async def GetAllocatableResources(  # noqa: N802
        self,
        stream: Stream[pods_api.AllocatableResourcesRequest, pods_api.AllocatableResourcesResponse],
    ) -> None:
        """Answer which devices are healthy, whoever has them."""
        await stream.recv_message()
        answer = pods_api.AllocatableResourcesResponse()
        for resource in self._kubelet.resources():
            healthy = [i for i, is_so in self._kubelet.devices(resource).items() if is_so]
            if healthy:
                answer.devices.add(resource_name=resource, device_ids=healthy)
        await stream.send_message(answer)


class Kubelet(RegistrationBase):
    """A kubelet with its own directory.

    `registrations` counts by resource. `running` is what containers have at present. `older`: a
    kubelet that knows plugins by their resources only, and not by their sockets as well.
    """

    def __init__(self, directory: str | os.PathLike[str], *, older: bool = False) -> None:
        self._older = older
        self.directory = os.fspath(directory)
        self.plugins = f"{self.directory}/device-plugins"
        self.registry = f"{self.directory}/plugins_registry"
        self.socket = f"{self.plugins}/kubelet.sock"
        self.registrations: Counter[str] = Counter()
        self.refusal = ""  # what Register answers instead of its work
        self.running: list[Allocated] = []
        self._clients: dict[str, list[_Client]] = {}  # the last one is asked
        self._devices: dict[str, dict[str, api.Device]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[Server] = []
        self._found: dict[str, tuple[int, int]] = {}
        self._pods = 0

    async def start(self) -> None:
        """Delete all sockets of plugins, then listen."""
        for directory in (self.plugins, self.registry, f"{self.directory}/pod-resources"):
            os.makedirs(directory, exist_ok=True)
        for name in os.listdir(self.plugins):
            with suppress(FileNotFoundError):
                if stat.S_ISSOCK(os.stat(f"{self.plugins}/{name}").st_mode):
                    os.unlink(f"{self.plugins}/{name}")
        with suppress(FileNotFoundError):
            os.unlink(f"{self.directory}/pod-resources/kubelet.sock")
        for path in (self.socket, f"{self.directory}/pod-resources/kubelet.sock"):
            server = Server([self, _PodResources(self)])
            await server.start(path=path)
            self._servers.append(server)

    async def stop(self, *, killed: bool = False) -> None:
        """End; a killed kubelet leaves its socket."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        tasks, self._tasks = self._tasks, set()
        clients, self._clients = self._clients, {}
        for client in (each for several in clients.values() for each in several):
            client.channel.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._devices.clear()
        self._found.clear()
        if not killed:
            with suppress(FileNotFoundError):
                os.unlink(self.socket)

    async def restart(self, *, killed: bool = True) -> None:
        """End and start again."""
        await self.stop(killed=killed)
        await self.start()

    def devices(self, resource: str) -> Mapping[str, bool]:
        """Return which devices are known, and whether they are healthy."""
        known = self._devices.get(resource, {})
        return {device_id: device.health == "Healthy" for device_id, device in known.items()}

    def resources(self) -> list[str]:
        """Return the resources whose plugins are connected."""
        return sorted(self._clients)

    def options(self, resource: str) -> api.DevicePluginOptions:
        """Return what a connected plugin may be asked for."""
        return self._clients[resource][-1].options

    def numa_nodes(self, resource: str) -> Mapping[str, list[int]]:
        """Return the NUMA nodes of the known devices."""
        known = self._devices.get(resource, {})
        return {i: [node.ID for node in device.topology.nodes] for i, device in known.items()}

    def in_use(self, resource: str) -> set[str]:
        """Return the devices that containers have."""
        return set(self._used(resource))

    def free(self, resource: str) -> list[str]:
        """Return the devices that a container could get."""
        used = self.in_use(resource)
        return sorted(
            i for i, healthy in self.devices(resource).items() if healthy and i not in used
        )

    async def allocate(
        self, resource: str, count: int = 1, *, ids: Collection[str] = (), pod: str = ""
    ) -> Allocated:
        """Give a container so many devices, or exactly those; AdmissionError if that cannot be."""
        clients = self._clients.get(resource)
        free = self.free(resource)
        if not clients or len(free) < (len(ids) or count) or not set(ids) <= set(free):
            raise AdmissionError(f"requested {ids or count}, available: {free} of {resource}")
        chosen = tuple(ids) or await self._preferred(clients[-1], free, count)
        if set(chosen) & self.in_use(resource):
            raise AdmissionError(f"{chosen} went to another pod meanwhile")
        self._pods += 1
        pod = pod or f"pod-{self._pods}"
        given = Allocated(pod, resource, chosen, api.ContainerAllocateResponse())
        self.running.append(given)
        try:
            answer = await self.call_allocate(resource, chosen)
        except (GRPCError, OSError) as error:
            self.running.remove(given)
            raise AdmissionError(str(error)) from error
        self.running[self.running.index(given)] = given = given._replace(answer=answer)
        return given

    async def call_allocate(
        self, resource: str, ids: Collection[str]
    ) -> api.ContainerAllocateResponse:
        """Ask the plugin for devices, whoever has them."""
        request = api.AllocateRequest()
        request.container_requests.add(devices_ids=ids)
        answer = await self._clients[resource][-1].stub.Allocate(request, timeout=DIAL)
        return answer.container_responses[0]

    def release(self, given: Allocated) -> None:
        """End the container that has these devices."""
        self.running.remove(given)

    def hang_up(self, resource: str) -> None:
        """Lose the connections to a resource's plugins, if there are any."""
        for client in self._clients.get(resource, ()):
            client.channel.close()

    async def discover(self) -> None:
        """Look for plugins in plugins_registry once, as the plugin watcher does each second."""
        sockets = {}
        for name in sorted(os.listdir(self.registry)):
            status = os.stat(f"{self.registry}/{name}")
            if not name.startswith(".") and stat.S_ISSOCK(status.st_mode):
                sockets[f"{self.registry}/{name}"] = (status.st_ino, status.st_ctime_ns)
        for path, identity in sockets.items():
            if self._found.get(path) != identity:
                self._found[path] = identity
                await self._discover(path)

    async def connect(self, resource: str, path: str) -> None:
        """Connect to a plugin at a socket and follow its list."""
        client = _Client(resource, path)
        try:
            client.options = await client.stub.GetDevicePluginOptions(api.Empty(), timeout=DIAL)
        except BaseException:
            client.channel.close()
            raise
        clients = self._clients.setdefault(resource, [])
        if self._older:
            clients.clear()  # the others go on, and are not known any more
        elif any(each.path == path for each in clients):
            client.channel.close()
            raise GRPCError(Status.UNKNOWN, f"device plugin already connected: {path}")
        clients.append(client)
        self.registrations[resource] += 1
        task = asyncio.create_task(self._run(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def Register(  # noqa: N802
        self, stream: Stream[api.RegisterRequest, api.Empty]
    ) -> None:
        """Connect to the plugin, then answer."""
        request = await stream.recv_message()
        assert request is not None
        if self.refusal:
            raise GRPCError(Status.UNKNOWN, self.refusal)
        if request.version != "v1beta1" or "/" not in request.resource_name:
            raise GRPCError(Status.UNKNOWN, f"unsupported: {request}")
        try:
            await self.connect(request.resource_name, f"{self.plugins}/{request.endpoint}")
        except (OSError, GRPCError) as error:
            raise GRPCError(Status.UNKNOWN, f"failed to dial device plugin: {error}") from None
        await stream.send_message(api.Empty())

    async def _discover(self, path: str) -> None:
        channel = Channel(path=path)
        stub = DiscoveryStub(channel)
        try:
            info = await stub.GetInfo(discovery_api.InfoRequest(), timeout=DISCOVERY)
            assert (info.type, info.endpoint) == ("DevicePlugin", path)
            assert "v1beta1" in info.supported_versions
            await self.connect(info.name, path)
            status = discovery_api.RegistrationStatus(plugin_registered=True)
            await stub.NotifyRegistrationStatus(status, timeout=DISCOVERY)
        finally:
            channel.close()

    async def _run(self, client: _Client) -> None:
        try:
            with suppress(Exception):  # whatever ends the stream, what follows is the same
                async with client.stub.ListAndWatch.open() as stream:
                    await stream.send_message(api.Empty(), end=True)
                    async for message in stream:
                        self._devices[client.resource] = {d.ID: d for d in message.devices}
        finally:
            client.channel.close()
        # an older kubelet looks for it by its resource: it may be a newer one that has to go
        clients = self._clients.get(client.resource, [])
        for known in [each for each in clients if self._older or each is client]:
            known.channel.close()
            clients.remove(known)
            if not clients:
                del self._clients[client.resource]
                for device in self._devices.get(client.resource, {}).values():
                    device.health = "Unhealthy"

    async def _preferred(self, client: _Client, free: list[str], count: int) -> tuple[str, ...]:
        if not client.options.get_preferred_allocation_available or count == len(free):
            return tuple(free[:count])
        request = api.PreferredAllocationRequest()
        request.container_requests.add(available_deviceIDs=free, allocation_size=count)
        answer = await client.stub.GetPreferredAllocation(request, timeout=DIAL)
        chosen = [i for i in answer.container_responses[0].deviceIDs if i in free][:count]
        return tuple(chosen + [i for i in free if i not in chosen][: count - len(chosen)])

    def _used(self, resource: str) -> Iterator[str]:
        for given in self.running:
            if given.resource == resource:
                yield from given.ids


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for a condition; TimeoutError tells that it did not come true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)

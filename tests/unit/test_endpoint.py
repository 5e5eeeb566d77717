# SPDX-License-Identifier: Apache-2.0
"""The service of a resource, as kubelet calls it over a real socket."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from sriov_node.device_plugin.endpoint import Endpoint, Files
from sriov_node.device_plugin.pool import Pool
from sriov_node.device_plugin.resource import Allocation, Resource, Selector
from sriov_node.kubelet.api import deviceplugin_pb2 as api
from sriov_node.kubelet.api.deviceplugin_grpc import DevicePluginStub
from sriov_node.kubelet.paths import socket_name
from tests.functions import RESOURCE, Machine, pool, vf
from tests.kubelet import until


class Served(NamedTuple):
    """An endpoint that serves, and a caller of it."""

    endpoint: Endpoint
    stub: DevicePluginStub
    machine: Machine
    directory: Path


@asynccontextmanager
async def served(tmp_path: Path, offered: Pool, *, use_cdi: bool = False) -> AsyncIterator[Served]:
    """Serve a pool whose devices the machine has."""
    machine = Machine(tmp_path)
    for offer in offered.offers.values():
        machine.add(offer.device, offer.device.driver)
    files = Files(f"{tmp_path}/devinfo", f"{tmp_path}/cdi" if use_cdi else None, str(tmp_path))
    (tmp_path / "kubelet").mkdir()
    endpoint = Endpoint(offered, f"{tmp_path}/kubelet", files)
    await endpoint.start()
    channel = Channel(path=endpoint.listener.path)
    try:
        yield Served(endpoint, DevicePluginStub(channel), machine, tmp_path)
    finally:
        channel.close()
        await endpoint.stop(remove=True)


class Follower:
    """A caller of ListAndWatch and the lists it got: the health of devices by their ID."""

    def __init__(self, stub: DevicePluginStub) -> None:
        self.lists: list[dict[str, str]] = []
        self.messages: list[api.ListAndWatchResponse] = []
        self.ended = False
        self.task = asyncio.create_task(self._follow(stub))

    async def _follow(self, stub: DevicePluginStub) -> None:
        with suppress(StreamTerminatedError):  # the caller closed its channel
            async with stub.ListAndWatch.open() as stream:
                await stream.send_message(api.Empty(), end=True)
                async for message in stream:
                    self.messages.append(message)
                    self.lists.append({device.ID: device.health for device in message.devices})
            self.ended = True

    async def count(self, number: int) -> None:
        await until(lambda: len(self.lists) >= number)


async def allocate(stub: DevicePluginStub, *ids: str) -> api.ContainerAllocateResponse:
    request = api.AllocateRequest()
    request.container_requests.add(devices_ids=ids)
    return (await stub.Allocate(request)).container_responses[0]


def test_the_whole_list_is_sent_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, pool(vf(0), vf(1))) as it:
            follower = Follower(it.stub)
            await follower.count(1)
            assert follower.lists == [{vf(0).id: "Healthy", vf(1).id: "Healthy"}]

    asyncio.run(story())


def test_a_resource_without_devices_is_announced_with_an_empty_list(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, pool()) as it:
            follower = Follower(it.stub)
            await follower.count(1)
            assert follower.lists == [{}]

    asyncio.run(story())


def test_every_stream_gets_each_new_list_and_only_if_kubelet_would_see_a_difference(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with served(tmp_path, pool(vf(0))) as it:
            followers = [Follower(it.stub), Follower(it.stub)]
            for follower in followers:
                await follower.count(1)
            it.endpoint.update(pool(vf(0)._replace(netdevs=("eth7",))))  # kubelet sees none of it
            await asyncio.sleep(0.05)
            it.endpoint.update(pool(vf(0), reason="is being returned"))
            for follower in followers:
                await follower.count(2)
                assert follower.lists[1:] == [{vf(0).id: "Unhealthy"}]

    asyncio.run(story())


def test_a_numa_node_is_announced_if_the_machine_has_such(tmp_path: Path) -> None:
    devices = [vf(i)._replace(numa_node=node) for i, node in enumerate((1, None, -1))]

    async def story() -> None:
        async with served(tmp_path, pool(*devices)) as it:
            follower = Follower(it.stub)
            await follower.count(1)
            nodes = [[n.ID for n in d.topology.nodes] for d in follower.messages[0].devices]
            assert nodes == [[1], [], []]
            assert not follower.messages[0].devices[1].HasField("topology")

    asyncio.run(story())


def test_no_numa_node_is_announced_if_topology_is_excluded(tmp_path: Path) -> None:
    resource = RESOURCE._replace(exclude_topology=True)

    async def story() -> None:
        async with served(tmp_path, pool(vf(0), resource=resource)) as it:
            follower = Follower(it.stub)
            await follower.count(1)
            assert not follower.messages[0].devices[0].HasField("topology")

    asyncio.run(story())


def test_a_slow_reader_keeps_nobody_waiting(tmp_path: Path) -> None:
    many = pool(*(vf(i) for i in range(1000)))

    async def story() -> None:
        async with served(tmp_path, pool()) as it:
            stuck = Channel(path=it.endpoint.listener.path)
            async with DevicePluginStub(stuck).ListAndWatch.open() as stream:
                await stream.send_message(api.Empty(), end=True)
                await stream.recv_message()  # and never again
                follower = Follower(it.stub)
                for step in range(6):
                    it.endpoint.update(many if step % 2 else pool())
                    await follower.count(step + 1)
                await stream.cancel()
            stuck.close()

    asyncio.run(story())


def test_the_end_of_kubelets_stream_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, pool(vf(0))) as it:
            left: list[str] = []
            it.endpoint.when_left = lambda: left.append("left")
            assert not it.endpoint.watched
            kubelet = Channel(path=it.endpoint.listener.path)
            follower = Follower(DevicePluginStub(kubelet))
            await follower.count(1)
            other = Follower(it.stub)
            await other.count(1)
            assert it.endpoint.watched
            other.task.cancel()
            await asyncio.sleep(0.05)
            assert left == []  # somebody else's
            kubelet.close()
            await until(lambda: left == ["left"])
            assert not it.endpoint.watched

    asyncio.run(story())


def test_streams_end_properly_when_the_endpoint_stops(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, pool(vf(0))) as it:
            follower = Follower(it.stub)
            await follower.count(1)
            await it.endpoint.stop(remove=False)
            await until(lambda: follower.ended)
            assert os.listdir(tmp_path / "devinfo")

    asyncio.run(story())


def test_a_resource_that_is_no_more_takes_its_socket_and_files_along(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, pool(vf(0)), use_cdi=True) as it:
            assert os.listdir(tmp_path / "devinfo")
            await it.endpoint.stop(remove=True)
            assert [os.listdir(tmp_path / name) for name in ("kubelet", "devinfo", "cdi")] == [
                [],
                [],
                [],
            ]

    asyncio.run(story())


def test_a_socket_is_for_root_alone_and_named_by_its_resource(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, pool()) as it:
            assert os.listdir(tmp_path / "kubelet") == [socket_name("intel.com/sriov_net")]
            assert stat.S_IMODE(os.stat(it.endpoint.listener.path).st_mode) == 0o600

    asyncio.run(story())


def test_a_path_too_long_for_a_socket_is_refused() -> None:
    directory = "/" + "d" * 79
    assert Endpoint(pool(), directory, Files()).socket_name  # 80 + 1 + 26: just fits
    with pytest.raises(ValueError, match="has 108 bytes, but the path of a socket at most 107"):
        Endpoint(pool(), f"{directory}d", Files())


def test_a_container_gets_variables_and_nodes(tmp_path: Path) -> None:
    device = vf(0)._replace(driver="vfio-pci")

    async def story() -> None:
        async with served(tmp_path, pool(device)) as it:
            it.machine.set_group(device, 7)
            answer = await allocate(it.stub, device.id)
            info = {
                "generic": {"deviceID": device.id},
                "vfio": {"dev-mount": "/dev/vfio/7", "mount": "/dev/vfio/vfio"},
            }
            assert answer.envs["PCIDEVICE_INTEL_COM_SRIOV_NET"] == device.id
            assert json.loads(answer.envs["PCIDEVICE_INTEL_COM_SRIOV_NET_INFO"]) == {
                device.id: info
            }
            nodes = [(d.container_path, d.host_path, d.permissions) for d in answer.devices]
            assert nodes == [
                ("/dev/vfio/vfio", "/dev/vfio/vfio", "rw"),
                ("/dev/vfio/7", "/dev/vfio/7", "rw"),
            ]
            assert not answer.cdi_devices

    asyncio.run(story())


def test_the_iommu_group_is_that_of_the_moment(tmp_path: Path) -> None:
    device = vf(0)._replace(driver="vfio-pci")

    async def story() -> None:
        async with served(tmp_path, pool(device)) as it:
            for group in (7, 8):
                it.machine.set_group(device, group)
                answer = await allocate(it.stub, device.id)
                assert answer.devices[1].host_path == f"/dev/vfio/{group}"

    asyncio.run(story())


def test_with_cdi_a_container_gets_names_and_the_runtime_finds_the_nodes(tmp_path: Path) -> None:
    device = vf(0)._replace(driver="vfio-pci")

    async def story() -> None:
        async with served(tmp_path, pool(device), use_cdi=True) as it:
            it.machine.set_group(device, 7)
            answer = await allocate(it.stub, device.id)
            assert [d.name for d in answer.cdi_devices] == [f"intel.com/sriov_net={device.id}"]
            assert not answer.devices
            assert "PCIDEVICE_INTEL_COM_SRIOV_NET" in answer.envs
            spec = json.loads((tmp_path / "cdi/sriov-intel.com_sriov_net.json").read_text())
            nodes = spec["devices"][0]["containerEdits"]["deviceNodes"]
            assert [node["hostPath"] for node in nodes] == ["/dev/vfio/vfio", "/dev/vfio/7"]

    asyncio.run(story())


def test_a_name_that_cdi_cannot_have_gets_nodes_instead(tmp_path: Path) -> None:
    device = vf(0)._replace(driver="vfio-pci")
    resource = RESOURCE._replace(name="intel.com/10g")

    async def story() -> None:
        async with served(tmp_path, pool(device, resource=resource), use_cdi=True) as it:
            it.machine.set_group(device, 7)
            answer = await allocate(it.stub, device.id)
            assert (len(answer.devices), len(answer.cdi_devices)) == (2, 0)

    asyncio.run(story())


def test_a_device_may_be_asked_for_twice(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, pool(vf(0))) as it:
            assert await allocate(it.stub, vf(0).id) == await allocate(it.stub, vf(0).id)

    asyncio.run(story())


def wrong_driver(it: Served) -> str:
    it.machine.bind(vf(0), "vfio-pci")
    return vf(0).id


def gone(it: Served) -> str:
    directory = it.machine.directory(vf(0))
    (directory / "driver").unlink()
    directory.rmdir()
    return vf(0).id


def unhealthy(it: Served) -> str:
    it.endpoint.update(pool(vf(0), reason="is being returned"))
    return vf(0).id


def unknown(_: Served) -> str:
    return "../../../etc"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (wrong_driver, "bound to vfio-pci by now, intel.com/sriov_net has it for iavf"),
        (gone, "this machine does not have it any more"),
        (unhealthy, "is being returned"),
        (unknown, "no device of intel.com/sriov_net"),
    ],
)
def test_what_cannot_be_given_is_refused_with_a_reason_after_a_fresh_list(
    tmp_path: Path, spoil: object, reason: str
) -> None:
    resource = Resource("intel.com/sriov_net", (Selector(drivers=("iavf",)),))

    async def story() -> None:
        async with served(tmp_path, pool(vf(0), resource=resource)) as it:
            follower = Follower(it.stub)
            await follower.count(1)
            assert callable(spoil)
            device_id = spoil(it)
            with pytest.raises(GRPCError) as refusal:
                await allocate(it.stub, device_id)
            assert refusal.value.status is Status.FAILED_PRECONDITION
            assert repr(device_id) in str(refusal.value.message)
            assert reason in str(refusal.value.message)
            assert len(follower.lists) > 1  # it came before the refusal
            health = "Healthy" if spoil is unknown else "Unhealthy"
            assert follower.lists[-1] == {vf(0).id: health}
            it.endpoint.update(pool(vf(0), resource=resource))
            if spoil is not unknown:  # what the inventory says next counts again
                await until(lambda: follower.lists[-1] == {vf(0).id: "Healthy"})

    asyncio.run(story())


def test_preference_is_announced_if_the_resource_has_one(tmp_path: Path) -> None:
    async def story() -> None:
        for number, allocation in enumerate(Allocation):
            directory = tmp_path / str(number)
            directory.mkdir()
            resource = RESOURCE._replace(allocation=allocation)
            async with served(directory, pool(vf(0), resource=resource)) as it:
                options = await it.stub.GetDevicePluginOptions(api.Empty())
                wanted = allocation is not Allocation.NONE
                assert options.get_preferred_allocation_available == wanted
                assert not options.pre_start_required

    asyncio.run(story())


def test_kubelet_is_told_which_devices_are_preferred(tmp_path: Path) -> None:
    resource = RESOURCE._replace(allocation=Allocation.PACKED)
    others = [vf(i, "0000:02:00.0") for i in range(2)]

    async def story() -> None:
        async with served(tmp_path, pool(*others, vf(0), vf(1), resource=resource)) as it:
            request = api.PreferredAllocationRequest()
            available = [others[0].id, others[1].id, vf(1).id]
            request.container_requests.add(available_deviceIDs=available, allocation_size=1)
            answer = await it.stub.GetPreferredAllocation(request)
            assert list(answer.container_responses[0].deviceIDs) == [vf(1).id]

    asyncio.run(story())


def test_a_device_is_described_to_networks_for_as_long_as_it_is_offered(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, pool(vf(0), vf(1))) as it:
            path = tmp_path / f"devinfo/intel.com-sriov_net-{vf(0).id}-device.json"
            assert stat.S_IMODE(path.stat().st_mode) == 0o444
            path.unlink()
            await allocate(it.stub, vf(0).id)
            assert path.exists()
            it.endpoint.update(pool(vf(1)))
            assert len(os.listdir(tmp_path / "devinfo")) == 1

    asyncio.run(story())


def test_a_container_gets_its_device_even_if_it_cannot_be_described(tmp_path: Path) -> None:
    (tmp_path / "devinfo").write_text("in the way")

    async def story() -> None:
        async with served(tmp_path, pool(vf(0))) as it:
            assert (await allocate(it.stub, vf(0).id)).envs

    asyncio.run(story())

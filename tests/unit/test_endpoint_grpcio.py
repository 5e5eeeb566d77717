# SPDX-License-Identifier: Apache-2.0
"""The same endpoint and registrar as another implementation of gRPC sees them: grpcio's."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from sriov_node.device_plugin.endpoint import Endpoint, Files
from sriov_node.kubelet.api import deviceplugin_pb2 as api
from sriov_node.kubelet.registration import Registrar
from tests.functions import RESOURCE, Machine, pool, vf

SERVICE = "/v1beta1.DevicePlugin"


class Plugin:
    """What grpcio's generated code would be."""

    def __init__(self, path: str) -> None:
        # kubelet's dial options: no TLS, and this authority
        options = [("grpc.default_authority", "localhost")]
        self.channel = grpc.aio.insecure_channel(f"unix:{path}", options=options)

    async def call(self, method: str, request: Any, answer: Any) -> Any:
        stub = self.channel.unary_unary(
            f"{SERVICE}/{method}", type(request).SerializeToString, answer.FromString
        )
        return await stub(request, timeout=5)

    async def lists(self) -> AsyncIterator[dict[str, str]]:
        stub = self.channel.unary_stream(
            f"{SERVICE}/ListAndWatch",
            api.Empty.SerializeToString,
            api.ListAndWatchResponse.FromString,
        )
        async for message in stub(api.Empty()):
            yield {device.ID: device.health for device in message.devices}


def test_grpcio_calls_an_endpoint(tmp_path: Path) -> None:
    Machine(tmp_path).add(vf(0))

    async def story() -> None:
        endpoint = Endpoint(pool(vf(0)), str(tmp_path), Files(f"{tmp_path}/d", None, str(tmp_path)))
        await endpoint.start()
        plugin = Plugin(endpoint.listener.path)
        options = await plugin.call("GetDevicePluginOptions", api.Empty(), api.DevicePluginOptions)
        assert not options.pre_start_required
        lists = plugin.lists()
        assert await anext(lists) == {vf(0).id: "Healthy"}
        request = api.AllocateRequest()
        request.container_requests.add(devices_ids=[vf(0).id])
        answer = await plugin.call("Allocate", request, api.AllocateResponse)
        assert answer.container_responses[0].envs["PCIDEVICE_INTEL_COM_SRIOV_NET"] == vf(0).id
        request.container_requests.add(devices_ids=["0000:ff:00.0"])
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await plugin.call("Allocate", request, api.AllocateResponse)
        assert refusal.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        details = "device '0000:ff:00.0': no device of intel.com/sriov_net"
        assert refusal.value.details() == details
        assert await anext(lists) == {vf(0).id: "Healthy"}  # the fresh one
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await plugin.call("Deallocate", request, api.AllocateResponse)
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
        many = pool(*(vf(i) for i in range(1000)), reason="preparing")
        endpoint.update(many)
        assert len(await anext(lists)) == 1000  # more than a window of HTTP/2
        await endpoint.stop(remove=True)
        with pytest.raises(StopAsyncIteration):
            await anext(lists)
        await plugin.channel.close()

    asyncio.run(story())


def test_an_endpoint_registers_with_grpcio(tmp_path: Path) -> None:
    async def story() -> None:
        registered: list[api.RegisterRequest] = []

        async def register(request: api.RegisterRequest, _: object) -> api.Empty:
            registered.append(request)
            plugin = Plugin(f"{tmp_path}/{request.endpoint}")  # while the call is being answered
            await plugin.call("GetDevicePluginOptions", api.Empty(), api.DevicePluginOptions)
            await plugin.channel.close()
            return api.Empty()

        endpoint = Endpoint(pool(), str(tmp_path), Files(f"{tmp_path}/d", None, str(tmp_path)))
        await endpoint.start()
        registrar = Registrar(str(tmp_path))
        registrar.add(endpoint)
        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            register, api.RegisterRequest.FromString, api.Empty.SerializeToString
        )
        service = grpc.method_handlers_generic_handler(
            "v1beta1.Registration", {"Register": handler}
        )
        server.add_generic_rpc_handlers((service,))
        server.add_insecure_port(f"unix:{tmp_path}/kubelet.sock")
        await server.start()
        async with asyncio.timeout(5):
            while not registrar.registrations:
                await asyncio.sleep(0.01)
        assert registered == [
            api.RegisterRequest(
                version="v1beta1",
                endpoint=endpoint.socket_name,
                resource_name=RESOURCE.name,
                options=endpoint.options,
            )
        ]
        await registrar.stop()
        await endpoint.stop(remove=True)
        await server.stop(None)
        assert not os.path.exists(endpoint.listener.path)

    asyncio.run(story())

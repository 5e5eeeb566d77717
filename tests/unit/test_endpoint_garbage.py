# SPDX-License-Identifier: Apache-2.0
"""An endpoint that is told nonsense: who talks sense beside that notices nothing."""

import asyncio
import gc
import os
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.exceptions import GRPCError
from h2.config import H2Configuration
from h2.connection import H2Connection

from sriov_node.device_plugin.endpoint import Endpoint, Files
from sriov_node.kubelet.api import deviceplugin_pb2 as api
from sriov_node.kubelet.api.deviceplugin_grpc import DevicePluginStub
from tests.functions import RESOURCE, Machine, pool, vf
from tests.kubelet import Kubelet, until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
METHODS = ("Allocate", "GetPreferredAllocation", "ListAndWatch", "GetDevicePluginOptions")


@asynccontextmanager
async def bystander(tmp_path: Path) -> AsyncIterator[tuple[Endpoint, Kubelet]]:
    """An endpoint, and a kubelet whose stream must go on, and still be served, at the end."""
    Machine(tmp_path).add(vf(0))
    kubelet = Kubelet(tmp_path / "k")
    await kubelet.start()
    files = Files(f"{tmp_path}/devinfo", None, str(tmp_path))
    endpoint = Endpoint(pool(vf(0)), kubelet.plugins, files)
    await endpoint.start()
    left: list[str] = []
    endpoint.when_left = lambda: left.append("kubelet's stream ended")
    await kubelet.connect(RESOURCE.name, endpoint.listener.path)
    await until(lambda: bool(kubelet.free(RESOURCE.name)))
    yield endpoint, kubelet
    assert left == []
    endpoint.update(pool(vf(0), reason="now"))
    await until(lambda: not kubelet.free(RESOURCE.name))
    endpoint.update(pool(vf(0)))
    await until(lambda: bool(kubelet.free(RESOURCE.name)))
    assert (await kubelet.allocate(RESOURCE.name)).ids == (vf(0).id,)
    await kubelet.stop()
    await endpoint.stop(remove=True)


def held() -> tuple[int, int]:
    """Return how many descriptors and tasks there are."""
    gc.collect()  # what earlier tests left
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())


async def say(path: str, words: bytes) -> None:
    """Send bytes, take what comes for a moment, and hang up."""
    reader, writer = await asyncio.open_unix_connection(path)
    with suppress(ConnectionError):
        writer.write(words)
        await writer.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1 << 16), 0.005)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def call(method: str, body: bytes, *, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return the bytes of a call with this body: frame by frame what a client would send."""
    connection = H2Connection(H2Configuration(client_side=True, validate_outbound_headers=False))
    connection.initiate_connection()
    usual = {
        ":method": "POST",
        ":scheme": "http",
        ":authority": "localhost",
        ":path": method,
        "te": "trailers",
        "content-type": "application/grpc",
    }
    connection.send_headers(1, [*{**usual, **dict(headers)}.items()])
    for start in range(0, len(body), 16384):
        connection.send_data(1, body[start : start + 16384])
    connection.end_stream(1)
    return connection.data_to_send()


def message(body: bytes) -> bytes:
    return struct.pack(">?I", False, len(body)) + body


def mutated(source: random.Random, words: bytes) -> bytes:
    """Return words with some bytes changed, left out, repeated or added."""
    changed = bytearray(words)
    for _ in range(source.randint(1, 8)):
        at = source.randrange(len(changed) + 1)
        kind = source.randrange(4)
        if kind == 0:
            changed[at : at + 1] = source.randbytes(1)
        elif kind == 1:
            del changed[at : at + source.randint(1, 9)]
        elif kind == 2:
            changed[at:at] = changed[: source.randint(1, 40)]
        else:
            changed[at:at] = source.randbytes(source.randint(1, 20))
    return bytes(changed)


def nonsense(source: random.Random) -> bytes:
    request = api.AllocateRequest()
    request.container_requests.add(devices_ids=[vf(0).id, "x" * source.randrange(300)])
    body = request.SerializeToString()
    method = f"/v1beta1.DevicePlugin/{source.choice(METHODS)}"
    kinds: list[Callable[[], bytes]] = [
        lambda: source.randbytes(source.randrange(1, 3000)),
        lambda: PREFACE[: source.randrange(1, len(PREFACE))],
        lambda: PREFACE + source.randbytes(source.randrange(1, 500)),
        lambda: call(method, message(mutated(source, body))),
        lambda: call(method, mutated(source, message(body))),
        lambda: mutated(source, call(method, message(body))),
        lambda: call(mutated(source, method.encode()).decode("latin-1"), message(body)),
    ]
    return source.choice(kinds)()


def test_a_thousand_pieces_of_nonsense_disturb_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        # a connection that breaks a rule of HTTP/2 is closed by an exception: that is its end
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with bystander(tmp_path) as (endpoint, _):
            await asyncio.sleep(0.05)
            before = held()
            source = random.Random(20_261_125)
            for _ in range(100):
                batch = [say(endpoint.listener.path, nonsense(source)) for _ in range(10)]
                await asyncio.gather(*batch)
            await until(lambda: held() == before)

    asyncio.run(story())


def test_connections_that_never_speak_disturb_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (endpoint, _):
            silent = [
                await asyncio.open_unix_connection(endpoint.listener.path) for _ in range(150)
            ]
            half = [await asyncio.open_unix_connection(endpoint.listener.path) for _ in range(50)]
            for _, writer in half:
                writer.write(PREFACE[:12])
            channel = Channel(path=endpoint.listener.path)
            options = await DevicePluginStub(channel).GetDevicePluginOptions(api.Empty())
            assert not options.pre_start_required
            channel.close()
            for _, writer in silent + half:
                writer.close()

    asyncio.run(story())


def test_a_method_that_is_none_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (endpoint, _):
            channel = Channel(path=endpoint.listener.path)
            name = "/v1beta1.DevicePlugin/Deallocate"
            unknown = UnaryUnaryMethod(channel, name, api.Empty, api.Empty)
            with pytest.raises(GRPCError):
                await unknown(api.Empty())
            channel.close()

    asyncio.run(story())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        message(b"\xff\xff\xff"),
        message(b"\x0a\x02\x0a"),  # a length that is not there
        message(b"\x0a\x04\x0a\x02\xc3\x28"),  # text that is not UTF-8
        struct.pack(">?I", False, 2**32 - 1) + b"x",
        struct.pack(">?I", True, 0),
    ],
    ids=["no message", "half a head", "no field", "half", "no text", "too long", "compressed"],
)
def test_a_message_that_is_none_is_refused_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str, body: bytes
) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (endpoint, _):
            await say(endpoint.listener.path, call(f"/v1beta1.DevicePlugin/{method}", body))

    asyncio.run(story())
    assert [record for record in caplog.records if record.exc_info] == []


async def allocate_many(stub: DevicePluginStub) -> None:
    request = api.AllocateRequest()
    request.container_requests.add(devices_ids=[f"0000:{i:x}" for i in range(200_000)])
    with pytest.raises(GRPCError, match="no device of"):
        await stub.Allocate(request)


async def prefer_many(stub: DevicePluginStub) -> None:
    request = api.PreferredAllocationRequest()
    many = [f"0000:{i:x}" for i in range(200_000)]
    request.container_requests.add(available_deviceIDs=many, allocation_size=2**31 - 1)
    answer = await stub.GetPreferredAllocation(request)
    assert list(answer.container_responses[0].deviceIDs) == []


async def prefer_nothing(stub: DevicePluginStub) -> None:
    request = api.PreferredAllocationRequest()
    request.container_requests.add(allocation_size=-(2**31))
    answer = await stub.GetPreferredAllocation(request)
    assert list(answer.container_responses[0].deviceIDs) == []


async def allocate_for_many(stub: DevicePluginStub) -> None:
    request = api.AllocateRequest()
    for _ in range(300):
        request.container_requests.add(devices_ids=[vf(0).id])
    assert len((await stub.Allocate(request)).container_responses) == 300


@pytest.mark.parametrize("ask", [allocate_many, prefer_many, prefer_nothing, allocate_for_many])
def test_huge_lists_and_numbers_are_answered(
    tmp_path: Path, ask: Callable[[DevicePluginStub], Awaitable[None]]
) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (endpoint, _):
            channel = Channel(path=endpoint.listener.path)
            await ask(DevicePluginStub(channel))
            channel.close()

    asyncio.run(story())

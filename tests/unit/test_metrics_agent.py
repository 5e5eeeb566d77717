# SPDX-License-Identifier: Apache-2.0
"""What a running agent tells over HTTP, while kubelet comes and pods get devices."""

import asyncio
import json
import os
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sriov_cni.kernel import sysfs
from sriov_node import agent
from sriov_node.agent import Agent, Options
from sriov_node.device_plugin.endpoint import Files
from sriov_node.metrics.server import Address
from sriov_node.metrics.service import Settings
from tests.kubelet import Kubelet
from tests.sysfs import Tree

NAME = "intel.com/net"
PF = "0000:3b:00.0"
RESOURCE = {"resourceName": "net", "selectors": {"drivers": ["iavf"]}}


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a directory with a path that is short enough for those of sockets."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    tree = Tree(tmp_path / "sys")
    tree.pf(PF, "eth1", vfs=2)
    tree.install(monkeypatch)
    monkeypatch.setattr(agent, "_RECENT", 0.0)
    return tree


class Client:
    """Whoever asks the agent over HTTP."""

    def __init__(self, address: Address) -> None:
        self._base = f"http://{address.host}:{address.port}"

    async def get(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(self._get, path)

    async def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """Return a metric's values by those of its labels, in the order of these."""
        _, text = await self.get("/metrics")
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in parse_text(text)
            for sample in family.samples
            if sample.name == name
        }

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{self._base}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while True:
            with suppress(OSError):
                if await condition():
                    return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    directory: Path, *, document: object, names: bool = False
) -> AsyncIterator[Client]:
    (directory / "config.json").write_text(json.dumps(document))
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        address = Address("127.0.0.1", int(found.getsockname()[1]))
    options = Options(
        config_file=str(directory / "config.json"),
        config_dir=str(directory / "sriov"),
        data_dir=str(directory / "state"),
        kubelet_dir=str(directory / "kubelet"),
        files=Files(device_info=str(directory / "devinfo"), root=os.path.dirname(sysfs.ROOT)),
        metrics=Settings(address, exporter_names=names),
        preparing=str(directory / "preparing"),
        control=str(directory / "agent.sock"),
    )
    task = asyncio.create_task(Agent(options).run())
    try:
        yield Client(address)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_an_agent_becomes_ready_when_kubelet_comes(tree: Tree, home: Path) -> None:
    async def scenario() -> None:
        kubelet = Kubelet(home / "kubelet")
        async with running(home, document={"resourceList": [RESOURCE]}) as client:

            async def told() -> bool:
                return await client.get("/readyz") == (
                    503,
                    f"{NAME}: kubelet does not follow its list\n",
                )

            async def ready() -> bool:
                return await client.get("/readyz") == (200, "ok\n")

            await until(told)
            assert await client.get("/healthz") == (200, "ok\n")
            assert await client.samples("sriov_kubelet_registered") == {(NAME,): 0}
            assert await client.samples("sriov_registrations_total") == {}
            await kubelet.start()
            await until(ready)
            assert await client.samples("sriov_kubelet_registered") == {(NAME,): 1}
            assert await client.samples("sriov_registrations_total") == {(NAME,): 1}
            await kubelet.stop()
            await until(told)

    asyncio.run(scenario())


def test_pods_and_allocations_are_told(tree: Tree, home: Path) -> None:
    async def scenario() -> None:
        kubelet = Kubelet(home / "kubelet")
        await kubelet.start()
        async with running(home, document={"resourceList": [RESOURCE]}, names=True) as client:

            async def ready() -> bool:
                return (await client.get("/readyz"))[0] == 200

            await until(ready)
            free = await client.samples("sriov_devices")
            assert free[NAME, "free"] == 2
            given = await kubelet.allocate(NAME, pod="web-0")
            assert await client.samples("sriov_allocate_seconds_count") == {(NAME,): 1}
            (seconds,) = (await client.samples("sriov_allocate_seconds_sum")).values()
            assert 0 < seconds < 1
            pods = await client.samples("sriov_kubepoddevice")
            assert pods == {("main", NAME, "default", given.ids[0], "web-0"): 1}
            info = await client.samples("sriov_vf_info")
            assert sorted(namespace for _, _, _, _, namespace, *_ in info) == ["", "default"]
            kubelet.release(given)
            assert await client.samples("sriov_kubepoddevice") == {}
            assert (await client.samples("sriov_rescan_seconds"))[()] > 0
        await kubelet.stop()

    asyncio.run(scenario())


def test_a_fault_of_the_configuration_is_a_problem(tree: Tree, home: Path) -> None:
    async def scenario() -> None:
        async with running(home, document={"resourceList": 7}) as client:

            async def told() -> bool:
                status, body = await client.get("/readyz")
                return status == 503 and "resourceList is 7" in body

            await until(told)
            problems = await client.samples("sriov_problems")
            assert problems["configuration",] == 1

    asyncio.run(scenario())


def test_an_agent_without_resources_is_ready(tree: Tree, home: Path) -> None:
    async def scenario() -> None:
        async with running(home, document={"resourceList": []}) as client:

            async def ready() -> bool:
                return await client.get("/readyz") == (200, "ok\n")

            await until(ready)

    asyncio.run(scenario())

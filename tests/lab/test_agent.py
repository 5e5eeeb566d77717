# SPDX-License-Identifier: Apache-2.0
"""The agent on real cards: what kubelet learns of what drivers, operators and pods do to VFs.

A fake kubelet listens; tests/cluster has the real one.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import card
from tests.kubelet import Kubelet, until
from tests.lab.runtime import AGENT
from tests.networks import DEVICE
from tests.plugin import Plugin, run

NET, DPDK = "intel.com/net", "intel.com/dpdk"
RESOURCES = [
    {"resourceName": "net", "selectors": {"pfNames": ["eth1"], "drivers": ["igbvf"]}},
    {"resourceName": "dpdk", "selectors": {"rootDevices": ["{}"], "drivers": ["vfio-pci"]}},
]


def vfs(*numbers: int) -> set[str]:
    """Return the addresses of VFs of eth1."""
    return {card.vf_address("eth1", number) for number in numbers}


class Listener:
    """Kubelet, and how long it took to learn of the last change."""

    def __init__(self, kubelet: Kubelet) -> None:
        self.kubelet = kubelet

    async def learns(self, resource: str, healthy: set[str], unhealthy: set[str]) -> float:
        """Return after how many seconds kubelet knows just these devices."""
        began = time.monotonic()
        expected = dict.fromkeys(healthy, True) | dict.fromkeys(unhealthy, False)
        try:
            await until(lambda: self.kubelet.devices(resource) == expected, seconds=30)
        except TimeoutError:
            assert self.kubelet.devices(resource) == expected
        return time.monotonic() - began


@asynccontextmanager
async def agent() -> AsyncIterator[Listener]:
    """Run the agent beside a kubelet that knows all of eth1's VFs already."""
    with TemporaryDirectory() as directory:
        pf = card.pci_address("eth1")
        config = Path(directory) / "config.json"
        config.write_text(json.dumps({"resourceList": RESOURCES}).replace("{}", pf))
        kubelet = Kubelet(f"{directory}/k")
        await kubelet.start()
        process = subprocess.Popen(
            [AGENT, "--config-file", str(config), "--kubelet-dir", kubelet.directory]
        )
        try:
            it = Listener(kubelet)
            await it.learns(NET, vfs(*range(card.VFS)), set())
            yield it
        finally:
            process.terminate()
            assert process.wait() == 0
            await kubelet.stop()


@pytest.fixture
def _all_vfs_again() -> Iterator[None]:
    """Have eth1's VFs as they were, after a test that made others."""
    yield
    card.enable_vfs("eth1", 0)
    card.enable_vfs("eth1", card.VFS)


@pytest.mark.usefixtures("_all_vfs_again")
def test_vfs_that_go_are_unhealthy_and_new_ones_are_offered() -> None:
    async def story() -> None:
        async with agent() as it:
            before = vfs(*range(card.VFS))
            await asyncio.to_thread(card.enable_vfs, "eth1", 0)
            gone = await it.learns(NET, set(), before)
            await asyncio.to_thread(card.enable_vfs, "eth1", 3)
            came = await it.learns(NET, vfs(0, 1, 2), before - vfs(0, 1, 2))
            print(f"kubelet knew {gone:.2f} s after the end, and {came:.2f} s after the making")

    asyncio.run(story())


@pytest.mark.usefixtures("_all_vfs_again")
def test_a_vf_that_is_bound_to_vfio_changes_its_resource_and_changes_back() -> None:
    async def story() -> None:
        run("modprobe", "vfio-pci")
        async with agent() as it:
            (vf,) = vfs(4)
            others = vfs(*range(card.VFS)) - {vf}
            card.bind(vf, "vfio-pci")
            took = await it.learns(DPDK, {vf}, set())
            await it.learns(NET, others, set())
            given = await it.kubelet.allocate(DPDK)
            nodes = [node.host_path for node in given.answer.devices]
            assert nodes[0] == "/dev/vfio/vfio"
            for node in nodes:
                with open(node, "r+b", buffering=0):
                    pass
            it.kubelet.release(given)
            card.bind(vf, "")
            await it.learns(NET, others | {vf}, set())
            await it.learns(DPDK, set(), set())
            print(f"kubelet knew {took:.2f} s after the binding")

    asyncio.run(story())


@pytest.mark.usefixtures("unchanged")
def test_a_vf_in_a_pod_stays_healthy_until_it_is_back(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    async def story() -> None:
        async with agent() as it:
            (vf,) = vfs(2)
            given = await it.kubelet.allocate(NET, ids=[vf])
            config = DEVICE | {"deviceID": vf, "vlan": 30}
            pod = pods("pod")
            seen: set[bool] = set()

            async def call(command: str) -> None:
                calling = asyncio.to_thread(sriov, command, config, netns=pod)
                task = asyncio.create_task(calling)
                while not task.done():
                    seen.add(it.kubelet.devices(NET)[vf])
                    await asyncio.sleep(0.01)
                assert (await task).status == 0

            for command in ("ADD", "DEL"):
                await call(command)
                await asyncio.sleep(1.5)
                seen.add(it.kubelet.devices(NET)[vf])
            assert seen == {True}
            it.kubelet.release(given)
            await it.learns(NET, vfs(*range(card.VFS)), set())

    asyncio.run(story())


@pytest.mark.usefixtures("_all_vfs_again")
def test_a_vf_that_is_taken_from_a_pod_is_unhealthy(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    """What the kernel does to a pod's VF when somebody writes to sriov_numvfs: it is gone."""

    async def story() -> None:
        async with agent() as it:
            before = vfs(*range(card.VFS))
            (vf,) = vfs(2)
            await it.kubelet.allocate(NET, ids=[vf])
            config = DEVICE | {"deviceID": vf}
            pod = pods("pod")
            assert (await asyncio.to_thread(sriov, "ADD", config, netns=pod)).status == 0
            await asyncio.to_thread(card.enable_vfs, "eth1", 0)
            await it.learns(NET, set(), before)
            assert (await asyncio.to_thread(sriov, "DEL", config, netns=pod)).status == 0

    asyncio.run(story())

# SPDX-License-Identifier: Apache-2.0
"""How long changes take until kubelet knows of them: devices, configuration, kubelet, the agent."""

import asyncio
import os
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack

from grpclib.client import Channel
from grpclib.exceptions import StreamTerminatedError

from bench.agent_node import ALL, PFS, RESOURCES, SELECTORS, SETTLED, VFS, Agent, AgentNode
from bench.samples import Row, milliseconds, summary
from sriov_node.kubelet.api import deviceplugin_pb2 as api
from sriov_node.kubelet.api.deviceplugin_grpc import DevicePluginStub
from tests.kubelet import AdmissionError, until

_C = RESOURCES[-1]
_OF_C = 4 * VFS
_REST = SELECTORS["c"]
_FEWER = _REST | {"pfNames": ["ens4f0", "ens5f0", "ens6f0"]}
_DOWN = 1.0  # seconds for which kubelet is away


async def rescan(agent: Agent, count: int) -> Row:
    """Return what a signal costs that has everything read anew."""
    seconds = []
    for _ in range(count):
        before = agent.cpu()
        agent.reload()
        await asyncio.sleep(SETTLED)
        seconds.append(agent.cpu() - before)
    kept = summary(seconds).median <= 0.05
    return Row(
        f"looking at {ALL} VFs anew", "never", "≤ 50 ms of CPU", f"{milliseconds(seconds)} ms", kept
    )


async def first_message(node: AgentNode, count: int) -> Row:
    """Have one resource of all devices for this."""
    node.configure(all=_REST)
    await node.tells("intel.com/all", ALL)
    (name,) = (name for name in os.listdir(node.kubelet.plugins) if name.startswith("sriov-"))
    seconds = []
    for _ in range(count):
        began = time.monotonic()
        channel = Channel(path=f"{node.kubelet.plugins}/{name}")
        async with DevicePluginStub(channel).ListAndWatch.open() as stream:
            await stream.send_message(api.Empty(), end=True)
            await stream.recv_message()
            seconds.append(time.monotonic() - began)
            await stream.cancel()
        channel.close()
    node.configure(**SELECTORS)
    await node.lists(ALL)
    what = f"first message of ListAndWatch, {ALL} devices"
    kept = summary(seconds).median <= 0.01
    return Row(what, "3-10 ms (375 devices)", "≤ 10 ms", f"{milliseconds(seconds)} ms", kept)


async def configuration(node: AgentNode, count: int) -> Row:
    """Have fewer VFs in one resource, and all again."""
    seconds = []
    registrations = node.kubelet.registrations.total()
    for _ in range(count):
        for selector, devices in ((_FEWER, 3 * VFS), (_REST, _OF_C)):
            began = time.monotonic()
            node.configure(**SELECTORS | {"c": selector})
            await node.tells(_C, devices)
            seconds.append(time.monotonic() - began)
    lost = node.kubelet.registrations.total() - registrations
    kept = summary(seconds).median <= 1 and not lost
    measured = f"{milliseconds(seconds)} ms; {lost} registrations anew"
    goal = "≤ 1 s, no registration lost"
    return Row("change of the configuration to the new list", "pod restart", goal, measured, kept)


async def kubelet_restarts(node: AgentNode, count: int) -> Row:
    """Kill kubelet, and start it after a while."""
    seconds = []
    for _ in range(count):
        await node.kubelet.stop(killed=True)
        await asyncio.sleep(_DOWN)
        began = time.monotonic()
        await node.kubelet.start()
        await node.lists(ALL)
        seconds.append(time.monotonic() - began)
    peer = "≤ 5 s, then a restart of each resource's server"
    what = "kubelet's start to its having all lists again"
    return Row(
        what, peer, "≤ 200 ms", f"{milliseconds(seconds)} ms", summary(seconds).median <= 0.2
    )


async def devices(node: AgentNode, agent: Agent, count: int) -> list[Row]:
    """Change files of VFs, and send a signal in place of the kernel's event."""
    rebound, removed = [], []
    for number in range(count):
        vf = node.tree.vf(PFS[-1], number)
        node.tree.bind(vf, "vfio-pci")
        began = time.monotonic()
        agent.reload()
        await node.tells(_C, _OF_C - number - 1)
        rebound.append(time.monotonic() - began)
        node.tree.bind(vf, "iavf")
        agent.reload()
        await node.lists(ALL - number)
        node.tree.remove(vf)
        began = time.monotonic()
        agent.reload()
        await node.lists(ALL - number - 1)
        removed.append(time.monotonic() - began)
    return [
        Row(what, "never", "≤ 1 s", f"{milliseconds(seconds)} ms", max(seconds) <= 1)
        for what, seconds in (
            ("driver changed to kubelet's new list", rebound),
            ("VF gone to unhealthy at kubelet", removed),
        )
    ]


async def outages(node: AgentNode, devices: int, count: int) -> list[Row]:
    """Put another agent in the place of one: beside it, then after its end."""
    beside, after = [], []
    async with AsyncExitStack() as exits:

        async def start() -> Agent:
            before = node.kubelet.registrations.total()
            agent = await exits.enter_async_context(node.agent())
            await until(lambda: node.kubelet.registrations.total() == before + len(RESOURCES), 30.0)
            await node.lists(devices)
            return agent

        async def replace(agent: Agent) -> Agent:
            successor = await start()
            await asyncio.to_thread(agent.end)
            await asyncio.sleep(SETTLED)
            return successor

        async def restart(agent: Agent) -> Agent:
            await asyncio.to_thread(agent.end)
            return await start()

        agent = await start()
        for _ in range(count):
            agent, *outage = await _outage(node, replace(agent))
            beside.append(outage)
        for _ in range(count):
            agent, *outage = await _outage(node, restart(agent))
            after.append(outage)
    rows = []
    for what, tries in (("successor started first", beside), ("plain restart", after)):
        seconds, asked, failed = zip(*tries, strict=True)
        measured = f"{milliseconds(seconds)} ms; {sum(failed)} of {sum(asked)} Allocates failed"
        kept = max(seconds) <= 0.3 and not sum(failed)
        peer, goal = "unhealthy for about 8 s", "≤ 300 ms, no Allocate fails"
        rows.append(Row(f"no healthy device at kubelet: {what}", peer, goal, measured, kept))
    return rows


async def _outage(
    node: AgentNode, change: Coroutine[None, None, Agent]
) -> tuple[Agent, float, int, int]:
    """Return what a change gives; seconds without a healthy device; Allocates, and failed ones."""
    changing = asyncio.ensure_future(change)
    seconds, asked, failed = 0.0, 0, 0
    while not changing.done():
        began = time.monotonic()
        asked += 1
        try:
            node.kubelet.release(await node.kubelet.allocate(_C))
        except (AdmissionError, StreamTerminatedError):
            failed += 1
        await asyncio.sleep(0.005)
        if not any(node.kubelet.devices(_C).values()):
            seconds += time.monotonic() - began
    return await changing, seconds, asked, failed

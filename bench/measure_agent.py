# SPDX-License-Identifier: Apache-2.0
"""What the agent costs on a node with 8 PFs of 125 VFs and three resources.

Each figure stands beside that of the established device plugin, which was measured once on the same
tree of files, or read in its code, and beside the goal that was set by it.
"""

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench import measure_agent_changes
from bench.agent_node import ALL, RESOURCES, SELECTORS, SETTLED, Agent, AgentNode
from bench.contenders import AGENT, ENVIRONMENT
from bench.measure_costs import STRACE, system_calls
from bench.samples import Row, milliseconds, summary
from tests.kubelet import until

_C = RESOURCES[-1]
_STARTS, _RESCANS, _MESSAGES = 5, 20, 20  # at most
_IDLE = 130  # seconds: two light passes
_KIB = 1024  # per MiB


class _Starts(NamedTuple):
    """Seconds from start until kubelet has the lists, of time and of CPU; kB; lines of the log."""

    seconds: list[float]
    cpu: list[float]
    resident: list[float]
    lines: list[int]


def measure_agent(rounds: int) -> list[Row]:
    """Return the table, from at most so many runs of each kind. Raises BenchError."""
    # the agent watches all directories on the way to its files, and /tmp is a busy one
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/var/lib") as directory:
        return asyncio.run(_measure(AgentNode(directory), rounds))


async def _measure(node: AgentNode, rounds: int) -> list[Row]:
    few = min(rounds, _STARTS)
    node.configure(**SELECTORS)
    await node.kubelet.start()
    try:
        imports = [_imports() for _ in range(few)]
        empty = await _starts(node, 0, few)
        node.fill()
        full = await _starts(node, ALL, few)
        calls = await _system_calls(node)
        async with node.agent() as agent:
            await node.lists(ALL)
            memory, allocate = await _allocate(node, agent)
            idle = await _idle(agent, min(_IDLE, rounds * 5))
            rescan = await measure_agent_changes.rescan(agent, min(rounds, _RESCANS))
            message = await measure_agent_changes.first_message(node, min(rounds, _MESSAGES))
            changed = await measure_agent_changes.configuration(node, few)
            came_back = await measure_agent_changes.kubelet_restarts(node, few)
            devices = await measure_agent_changes.devices(node, agent, few)
        outages = await measure_agent_changes.outages(node, ALL - few, few)
    finally:
        await node.kubelet.stop()
    return [
        memory,
        *_start_rows(imports, empty, full, calls),
        rescan,
        *devices,
        came_back,
        changed,
        *outages,
        allocate,
        message,
        idle,
        _size(),
    ]


def _imports() -> float:
    """Return the seconds of CPU that the agent takes to say its version."""
    process = subprocess.Popen(
        [AGENT.path, "--version"], stdout=subprocess.DEVNULL, env=ENVIRONMENT
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime


async def _starts(node: AgentNode, devices: int, count: int) -> _Starts:
    starts = _Starts([], [], [], [])
    for _ in range(count):
        await until(lambda: not node.kubelet.resources())
        async with node.agent() as agent:
            await node.lists(devices)
            starts.seconds.append(time.monotonic() - agent.began)
            starts.cpu.append(agent.cpu())
            await asyncio.sleep(SETTLED)
            starts.resident.append(agent.status("VmRSS"))
            starts.lines.append(agent.log().count("\n"))
    return starts


async def _system_calls(node: AgentNode) -> int:
    """Return the system calls from the start until kubelet has the lists, and of the end."""
    await until(lambda: not node.kubelet.resources())
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as note:
        path = Path(note.name)
        options = ("-D", "-f", "-c", "-U", "calls,name", "-o", note.name)
        async with node.agent(STRACE, *options):
            await node.lists(ALL)
        await until(lambda: "total" in path.read_text())  # strace ends after the agent
        return system_calls(path.read_text())


def _start_rows(imports: list[float], empty: _Starts, full: _Starts, calls: int) -> list[Row]:
    above = summary(full.cpu).median - summary(imports).median
    least = statistics.median(empty.resident) / _KIB
    listening = summary(empty.seconds).median
    lines = max(full.lines)
    cpu = f"{milliseconds(full.cpu)} ms of CPU, imports {milliseconds(imports)} ms"
    cpu += f"; {milliseconds(full.seconds)} ms in all"
    return [
        Row("memory (RSS), no devices", "39 MiB", "≤ 31 MiB", f"{least:.1f} MiB", least <= 31),
        Row(
            "start to kubelet's having all lists",
            "4.5 s of CPU, 5.4 s in all",
            "≤ 500 ms of CPU above the imports",
            cpu,
            above <= 0.5,
        ),
        Row("system calls of that", "2.2 million", "≤ 20000", f"{calls}", calls <= 20_000),
        Row(
            "start to being registered, no devices",
            "1.6 s to listening",
            "≤ 400 ms",
            f"{milliseconds(empty.seconds)} ms",
            listening <= 0.4,
        ),
        Row("lines of log at the start", "6779", "≤ 8", f"{lines}", lines <= 5 + len(RESOURCES)),
    ]


async def _allocate(node: AgentNode, agent: Agent) -> tuple[Row, Row]:
    """Return the memory and the times: of 300 Allocates, and of 3000 that follow."""
    await asyncio.sleep(SETTLED)
    listed, parts = agent.status("VmRSS"), []
    ids = list(node.kubelet.devices(_C))
    kept = True
    for count in (300, 3000):
        seconds = []
        for number in range(count):
            began = time.monotonic()
            await node.kubelet.call_allocate(_C, [ids[number % len(ids)]])
            seconds.append(time.monotonic() - began)
        metrics = "" if agent.scrape() else ", without metrics"
        if count == 300:
            resident = agent.status("VmRSS")
        p50, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[-1]
        parts.append(f"{p50 * 1e3:.2f} / {p99 * 1e3:.1f} ms (of {count})")
        kept = kept and p50 <= 1e-3 and p99 <= 10e-3
    peak = agent.status("VmHWM") / _KIB
    memory = f"{resident / _KIB:.1f} MiB, {listed / _KIB:.1f} before; peak {peak:.1f}{metrics}"
    peer = "38.3-40.5 MiB, peak 43.7 (has no metrics)"
    what = f"memory (RSS), {ALL} VFs, after 300 Allocates"
    return (
        Row(what, peer, "≤ 34 MiB", memory, resident / _KIB <= 34),
        Row("Allocate p50 / p99", "0.54-0.77 ms / -", "≤ 1 / 10 ms", ", ".join(parts), kept),
    )


async def _idle(agent: Agent, seconds: int) -> Row:
    """Return how often it wakes up without events, and the CPU of an hour, extrapolated."""
    agent.reload()
    await asyncio.sleep(2 * SETTLED)
    cpu, awake, switches = agent.cpu(), 0, agent.status("voluntary_ctxt_switches")
    began, before = switches, switches
    for _ in range(seconds):
        await asyncio.sleep(1)
        switches = agent.status("voluntary_ctxt_switches")
        awake += switches != before
        before = switches
    per_hour = (agent.cpu() - cpu) / seconds * 3600
    measured = f"awake {awake} times in {seconds} s ({switches - began} context switches)"
    measured += f"; {per_hour:.2f} s of CPU/h"
    goal = "only a light pass a minute, ≤ 0.1 s of CPU/h"
    peer = "wakes every 5 s and every 20 s per resource"
    return Row("idle", peer, goal, measured, awake <= seconds // 60 and per_hour <= 0.1)


def _size() -> Row:
    size = AGENT.size() / 2**20
    peer, goal = "55.9 MB (39.0 stripped)", "≤ 15 MiB"
    return Row("installed", peer, goal, f"{size:.1f} MiB", size <= 15)

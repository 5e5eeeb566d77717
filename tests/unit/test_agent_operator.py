# SPDX-License-Identifier: Apache-2.0
"""What an operator does to an agent: node files, preparations, and requests at its socket."""

import asyncio
import json
import logging
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sriov_node import control
from sriov_node.control import RELOAD, RESCAN
from sriov_node.preparation import marker
from sriovctl import agent as client
from sriovctl.__main__ import main as sriovctl
from tests.kubelet import until
from tests.sysfs import Tree
from tests.unit.machine import DPDK, NET, PF, Machine, machine


async def ask(it: Machine, words: bytes) -> dict[str, Any]:
    """Return the agent's answer to what is sent to its socket."""
    reader, writer = await asyncio.open_unix_connection(str(it.control))
    writer.write(words)
    answer: dict[str, Any] = json.loads(await reader.readline())
    writer.close()
    return answer


async def call(it: Machine, monkeypatch: pytest.MonkeyPatch, command: str) -> Any:
    """Call `sriovctl` for this agent."""
    monkeypatch.setattr(client, "SOCKET", str(it.control))
    return await asyncio.to_thread(CliRunner().invoke, sriovctl, [command])


def test_resources_of_the_nodes_files_are_announced_and_followed(tree: Tree) -> None:
    async def story() -> None:
        tree.bind(tree.vf(PF, 3), "vfio-pci")
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2))
            it.want(resources=[DPDK])
            await it.has("dpdk", *it.vfs(3))
            it.want("node.d/10-more.json", resources=[{"resourceName": "all", "selectors": {}}])
            await until(lambda: "intel.com/all" in it.kubelet.resources())
            it.want()
            await until(lambda: it.kubelet.resources() == ["intel.com/all", "intel.com/net"])
            assert it.kubelet.registrations["intel.com/net"] == 1

    asyncio.run(story())


def test_the_nodes_files_are_enough(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with machine(tree) as it:
            it.want(resources=[NET])
            await it.has("net", *it.vfs(0, 1, 2, 3))
            caplog.clear()
            it.agent.reload()
            await asyncio.sleep(0.2)
            assert "config.json" not in caplog.text  # which is missing, and not missed

    asyncio.run(story())


def test_one_name_in_two_files_is_a_fault_that_names_both(
    tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            it.want(resources=[NET, DPDK])
            await until(lambda: "intel.com/dpdk" in it.kubelet.resources())
            await it.has("net", *it.vfs(0, 1, 2, 3))
            (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
            assert "resourceList" in line
            assert "intel.com/net" in line

    asyncio.run(story())


def test_a_slip_in_a_nodes_file_takes_no_resource_away(
    tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with machine(tree) as it:
            it.want(resources=[NET])
            await it.has("net", *it.vfs(0, 1, 2, 3))
            (it.node_files / "node.json").write_text("{")
            await until(lambda: "not JSON" in caplog.text)
            await asyncio.sleep(0.2)
            await it.has("net", *it.vfs(0, 1, 2, 3))

    asyncio.run(story())


def test_devices_of_a_pf_that_is_prepared_are_unhealthy_unless_a_pod_has_them(
    tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def story() -> None:
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            await it.kubelet.allocate("intel.com/net", ids=it.vfs(1))
            with marker.holding(str(it.preparing), PF):
                await it.has("net", *it.vfs(1), unhealthy=it.vfs(0, 2, 3))
                assert f"{it.vfs(0)[0]} its PF is being prepared" in caplog.text
            await it.has("net", *it.vfs(0, 1, 2, 3))
            with marker.holding(str(it.preparing), "0000:5e:00.0"):
                await asyncio.sleep(0.2)
                await it.has("net", *it.vfs(0, 1, 2, 3))

    asyncio.run(story())


def test_a_preparation_that_began_before_the_agent_counts(tree: Tree, tmp_path: Path) -> None:
    async def story() -> None:
        async with machine(tree, started=False) as it:
            with marker.holding(str(it.preparing), PF):
                it.configure(NET)
                await it.kubelet.start()
                await it.has("net", unhealthy=it.vfs(0, 1, 2, 3))

    asyncio.run(story())


def test_an_operator_has_devices_and_files_looked_at_anew(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            tree.set_numvfs(PF, 2)
            done = await call(it, monkeypatch, RESCAN)
            assert (done.exit_code, done.stdout) == (0, "intel.com/net: 4 devices\n")
            await it.has("net", *it.vfs(0, 1), unhealthy=it.vfs(2, 3))
            it.configure(NET | {"resourceName": "other"}, {"resourceName": "bad"})
            done = await call(it, monkeypatch, RELOAD)
            assert "intel.com/other: " in done.stdout
            assert done.stderr.startswith("Fault: intel.com/bad: ")
            await until(lambda: it.kubelet.resources() == ["intel.com/other"])

    asyncio.run(story())


@pytest.mark.parametrize("words", [b"halt\n", b"\n", b"\xff\xfe\n", b"rescan reload\n"])
def test_other_requests_are_refused(tree: Tree, words: bytes) -> None:
    async def story() -> None:
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            assert (await ask(it, words))["error"].startswith("no request ")
            assert (await ask(it, b"rescan\n"))["resources"] == {"intel.com/net": 4}

    asyncio.run(story())


def test_whoever_says_nothing_too_much_or_goes_away_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(control, "_PATIENCE", 0.3)

    async def nothing() -> dict[str, Any]:
        return {}

    async def story() -> None:
        path = str(tmp_path / "agent.sock")
        async with control.serving(path, {RESCAN: nothing}):
            before = len(os.listdir("/proc/self/fd"))
            reader, writer = await asyncio.open_unix_connection(path)
            assert await reader.read() == b""  # the agent has hung up
            writer.close()
            for words in (b"x" * 100_000, b"rescan", b"rescan\n"):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
                    sock.setblocking(False)
                    sock.send(words)
                await asyncio.sleep(0.1)
            await until(lambda: len(os.listdir("/proc/self/fd")) == before)

    asyncio.run(story())
    assert caplog.records == []


def test_only_root_may_connect_and_the_last_agent_has_the_socket(tree: Tree) -> None:
    async def story() -> None:
        async with machine(tree, NET) as it:
            await until(it.control.exists)
            assert stat.S_IMODE(it.control.stat().st_mode) == 0o600

            async def second() -> dict[str, Any]:
                return {"resources": {"second": 0}, "faults": []}

            async with control.serving(str(it.control), {RESCAN: second}):
                assert (await ask(it, b"rescan\n"))["resources"] == {"second": 0}
            assert not it.control.exists()

    asyncio.run(story())


def test_an_agent_that_ends_leaves_its_successors_socket(tmp_path: Path) -> None:
    async def story() -> None:
        path = str(tmp_path / "agent.sock")

        async def nothing() -> dict[str, Any]:
            return {}

        async with control.serving(path, {RESCAN: nothing}):
            successor = control.serving(path, {RESCAN: nothing})
            await successor.__aenter__()
        assert os.path.exists(path)
        await successor.__aexit__(None, None, None)
        assert not os.path.exists(path)

    asyncio.run(story())


def test_an_agent_whose_socket_cannot_be_made_serves_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        (tmp_path / "run").write_text("no directory")
        async with control.serving(f"{tmp_path}/run/agent.sock", {}):
            assert "cannot be made, so sriovctl cannot ask this agent: " in caplog.text

    asyncio.run(story())

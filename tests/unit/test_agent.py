# SPDX-License-Identifier: Apache-2.0
"""The agent on a machine of files: what kubelet learns when something changes."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kubelet import AdmissionError, until
from tests.sysfs import Tree
from tests.unit.machine import DPDK, NET, PF, machine

OTHER_PF = "0000:5e:00.0"


def test_kubelet_learns_the_devices_of_each_resource(tree: Tree) -> None:
    async def story() -> None:
        tree.bind(tree.vf(PF, 3), "vfio-pci")
        async with machine(tree, NET, DPDK) as it:
            await it.has("net", *it.vfs(0, 1, 2))
            await it.has("dpdk", *it.vfs(3))

    asyncio.run(story())


def test_the_ready_file_is_there_when_kubelet_knows_the_resources(
    tree: Tree, tmp_path: Path
) -> None:
    async def story() -> None:
        ready = tmp_path / "ready"
        ready.touch()  # of an agent before
        async with machine(tree, NET, ready_file=str(ready), started=False) as it:
            await until(lambda: not ready.exists())
            await asyncio.sleep(1)
            assert not ready.exists()
            await it.kubelet.start()
            await until(ready.exists)
            assert it.kubelet.resources() == ["intel.com/net"]

    asyncio.run(story())


def test_a_resource_without_devices_is_known_to_kubelet(tree: Tree) -> None:
    async def story() -> None:
        async with machine(tree, DPDK) as it:
            await until(lambda: it.kubelet.resources() == ["intel.com/dpdk"])
            await it.has("dpdk")

    asyncio.run(story())


def test_a_configuration_that_comes_later_is_read(tree: Tree) -> None:
    async def story() -> None:
        async with machine(tree) as it:
            await asyncio.sleep(0.2)
            it.configure(NET)
            await it.has("net", *it.vfs(0, 1, 2, 3))

    asyncio.run(story())


def test_a_configmap_is_read_again_when_it_changes(tree: Tree) -> None:
    """Kubelet swaps the link ..data for another, beside which config.json is a link."""

    async def story() -> None:
        async with machine(tree) as it:
            volume = it.config.parent
            volume.mkdir()
            for number, resource in enumerate((NET, DPDK)):
                (volume / f"..{number}").mkdir()
                content = json.dumps({"resourceList": [resource]})
                (volume / f"..{number}" / "config.json").write_text(content)
            (volume / "..data").symlink_to("..0")
            (volume / "config.json").symlink_to("..data/config.json")
            await it.has("net", *it.vfs(0, 1, 2, 3))
            (volume / "..data_tmp").symlink_to("..1")
            (volume / "..data_tmp").rename(volume / "..data")
            await until(lambda: it.kubelet.resources() == ["intel.com/dpdk"])

    asyncio.run(story())


def test_what_does_not_change_keeps_its_registration(tree: Tree) -> None:
    async def story() -> None:
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            it.configure(NET, DPDK)
            await until(lambda: "intel.com/dpdk" in it.kubelet.resources())
            it.configure(NET)
            await until(lambda: it.kubelet.resources() == ["intel.com/net"])
            assert it.kubelet.registrations["intel.com/net"] == 1

    asyncio.run(story())


@pytest.mark.parametrize("slip", ["{", '{"resourceList": [{"resourceName": "net"}]}', "[]", ""])
def test_a_slip_in_the_configuration_takes_no_resource_away(
    slip: str, tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            it.config.write_text(slip)
            await until(lambda: any(r.levelno == logging.ERROR for r in caplog.records))
            await asyncio.sleep(0.2)
            await it.has("net", *it.vfs(0, 1, 2, 3))
            assert it.kubelet.registrations["intel.com/net"] == 1
            it.configure()
            await until(lambda: it.kubelet.resources() == [])

    asyncio.run(story())


def test_vfs_that_come_and_go_are_announced_as_such(tree: Tree) -> None:
    async def story() -> None:
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            tree.set_numvfs(PF, 2)
            it.agent.reload()
            await it.has("net", *it.vfs(0, 1), unhealthy=it.vfs(2, 3))
            tree.pf(OTHER_PF, "ens902f0", vfs=1)
            tree.set_numvfs(PF, 3)
            it.agent.reload()
            there = (*it.vfs(0, 1, 2), *it.vfs(0, pf=OTHER_PF))
            await it.has("net", *there, unhealthy=it.vfs(3))

    asyncio.run(story())


def test_a_vf_that_changes_its_driver_changes_its_resource(tree: Tree) -> None:
    async def story() -> None:
        async with machine(tree, NET, DPDK) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            tree.bind(it.vfs(1)[0], "vfio-pci")
            it.agent.reload()
            await it.has("net", *it.vfs(0, 2, 3))
            await it.has("dpdk", *it.vfs(1))

    asyncio.run(story())


def test_what_a_pod_holds_stays_its_resources_device(tree: Tree) -> None:
    async def story() -> None:
        async with machine(tree, NET, DPDK) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            given = await it.kubelet.allocate("intel.com/net", ids=it.vfs(1))
            tree.bind(it.vfs(1)[0], "vfio-pci")
            it.agent.reload()
            await it.has("net", *it.vfs(0, 1, 2, 3))
            await it.has("dpdk")
            it.kubelet.release(given)
            it.agent.reload()
            await it.has("dpdk", *it.vfs(1))

    asyncio.run(story())


def test_a_vf_that_is_gone_is_refused_and_announced_before(tree: Tree) -> None:
    async def story() -> None:
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            tree.remove(it.vfs(0)[0])
            with pytest.raises(AdmissionError, match="does not have it any more"):
                await it.kubelet.allocate("intel.com/net", ids=it.vfs(0))
            await it.has("net", *it.vfs(1, 2, 3), unhealthy=it.vfs(0))
            await until(lambda: bool(it.agent.pools["intel.com/net"].offers[it.vfs(0)[0]].missing))

    asyncio.run(story())


def test_a_machine_without_cards_is_no_reason_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        tree = Tree(tmp_path / "bare")
        tree.install(monkeypatch)
        async with machine(tree, NET) as it:
            await it.has("net")
            tree.pf(PF, "ens901f0", vfs=1)
            it.agent.reload()
            await it.has("net", *it.vfs(0))

    asyncio.run(story())


def test_a_scan_that_fails_leaves_what_was_announced(
    tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with machine(tree, NET) as it:
            await it.has("net", *it.vfs(0, 1, 2, 3))
            away = tree.root.with_name("away")
            tree.root.rename(away)
            tree.root.write_text("no directory")
            it.agent.reload()
            await until(lambda: bool(caplog.records) and "sys" in caplog.text)
            await it.has("net", *it.vfs(0, 1, 2, 3))
            tree.root.unlink()
            away.rename(tree.root)
            tree.set_numvfs(PF, 1)
            it.agent.reload()
            await it.has("net", *it.vfs(0), unhealthy=it.vfs(1, 2, 3))

    asyncio.run(story())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kubelet-dir", "/" + "x" * 100), "the path of a socket at most 107"),
        (("--kubelet-dir", "kubelet"), "kubelet must be an absolute path"),
        (("--resource-prefix", "Intel.com"), "must be a DNS name in lower case"),
        (("--registration", "none"), "invalid choice: 'none'"),
        (("--log-level", "loud"), "invalid choice: 'loud'"),
        (("--config", "x"), "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: tuple[str, ...], words: str) -> None:
    command = [sys.executable, "-P", "-m", "sriov_node", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]


def test_flags_may_be_written_as_the_established_plugin_has_them(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "sriov_node", "-config-file", f"{tmp_path}/none"]
    directories = ("-resource-prefix", "x.org", "--kubelet-dir", f"{tmp_path}", "--data-dir")
    process = subprocess.Popen(
        [*command, *directories, f"{tmp_path}"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "config.json is missing" in process.stderr.readline().replace("/none", "/config.json")
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == 0
    assert process.stderr.read() == ""

# SPDX-License-Identifier: Apache-2.0
"""A machine of files with an agent in this process and a kubelet beside it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sriov_node.agent import Agent, Options
from sriov_node.device_plugin.endpoint import Files
from tests.kubelet import Kubelet, until
from tests.sysfs import Tree

PF = "0000:3b:00.0"
NET: dict[str, Any] = {"resourceName": "net", "selectors": {"drivers": ["iavf"]}}
DPDK: dict[str, Any] = {"resourceName": "dpdk", "selectors": {"drivers": ["vfio-pci"]}}


class Machine:
    """A machine with one card of four VFs, and its kubelet; the agent runs in this process."""

    def __init__(self, directory: Path, tree: Tree, ready_file: str | None) -> None:
        self.tree = tree
        self.kubelet = Kubelet(directory / "k")
        self.config = directory / "pcidp" / "config.json"
        self.node_files = directory / "sriov"
        self.preparing = directory / "run" / "preparing"
        self.control = directory / "run" / "agent.sock"
        files = Files(device_info=f"{directory}/devinfo", cdi=None, root=str(tree.root.parent))
        self.agent = Agent(
            Options(
                config_file=str(self.config),
                config_dir=str(self.node_files),
                data_dir=f"{directory}/data",
                kubelet_dir=self.kubelet.directory,
                files=files,
                ready_file=ready_file,
                preparing=str(self.preparing),
                control=str(self.control),
            )
        )

    def configure(self, *resources: dict[str, Any]) -> None:
        """Write the configuration in place of the one there is."""
        self.config.parent.mkdir(exist_ok=True)
        new = self.config.with_name("new")
        new.write_text(json.dumps({"resourceList": resources}))
        new.rename(self.config)

    def want(self, name: str = "node.json", **keys: object) -> None:
        """Write one of the node's files in place of the one there is."""
        path = self.node_files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(keys))
        new.rename(path)

    async def has(self, resource: str, *devices: str, unhealthy: tuple[str, ...] = ()) -> None:
        """Wait until kubelet knows just these devices of a resource."""
        expected = {**dict.fromkeys(devices, True), **dict.fromkeys(unhealthy, False)}
        with suppress(TimeoutError):
            await until(lambda: self.kubelet.devices(f"intel.com/{resource}") == expected)
        assert self.kubelet.devices(f"intel.com/{resource}") == expected

    def vfs(self, *numbers: int, pf: str = PF) -> tuple[str, ...]:
        """Return the IDs of VFs."""
        return tuple(self.tree.vf(pf, number) for number in numbers)


@asynccontextmanager
async def machine(
    tree: Tree,
    *resources: dict[str, Any],
    ready_file: str | None = None,
    started: bool = True,
) -> AsyncIterator[Machine]:
    """Run the agent on a machine, with resources if there are any, and kubelet beside it."""
    with TemporaryDirectory() as directory:  # the path of a socket has a limit
        it = Machine(Path(directory), tree, ready_file)
        if resources:
            it.configure(*resources)
        if started:
            await it.kubelet.start()
        running = asyncio.create_task(it.agent.run())
        try:
            yield it
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await it.kubelet.stop()

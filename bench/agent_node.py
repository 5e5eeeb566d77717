# SPDX-License-Identifier: Apache-2.0
"""Where the agent is measured: namespaces, a tree of files over /sys, and a kubelet in Python.

Kubelet lives in the measuring process.
"""

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.contenders import AGENT, ENVIRONMENT, PYTHON
from bench.node import BenchError
from tests.kubelet import Kubelet, until
from tests.sysfs import Tree, seeing

PFS = [f"0000:{0x10 + 8 * n:02x}:00.0" for n in range(8)]
VFS = 125  # of each PF
ALL = len(PFS) * VFS
SELECTORS: dict[str, dict[str, Any]] = {
    "a": {"vendors": ["8086"], "pfNames": ["ens0f0", "ens1f0"]},
    "b": {"pfNames": ["ens2f0", "ens3f0"]},
    "c": {"drivers": ["iavf"]},
}
RESOURCES = tuple(f"intel.com/{name}" for name in SELECTORS)
SETTLED = 0.5  # seconds after which what a signal asks for is done
_PATIENCE = 30.0  # seconds
# The namespaces are there before the time runs.
_WAITING = 'ip link set lo up; echo ready; read -r _; exec "$@"'
_SCRAPE = "import urllib.request as r; r.urlopen('http://127.0.0.1:9808/metrics').read()"


class Agent:
    """A process of the agent; `options` go to it, `tracer` starts it."""

    def __init__(self, tree: Tree, options: tuple[str, ...], tracer: tuple[str, ...] = ()) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            seeing(tree, "sh", "-ec", _WAITING, "sh", *tracer, str(AGENT.path), *options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=ENVIRONMENT,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise BenchError(f"cannot make namespaces: not root? {self.log()}")
        self._cpu_before = self._cpu()
        self.began = time.monotonic()
        print(file=self._process.stdin, flush=True)

    def end(self) -> None:
        """End it as an administrator would, and wait for that."""
        self._process.terminate()
        self._process.wait()

    def reload(self) -> None:
        """Have it read everything anew."""
        self._process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        """Return what it wrote."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode()

    def cpu(self) -> float:
        """Return the seconds of CPU since its start."""
        return self._cpu() - self._cpu_before

    def status(self, key: str) -> int:
        """Return a number of /proc/PID/status: of memory, in kB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split(f"\n{key}:")[1].split()[0])

    def scrape(self) -> bool:
        """Read its metrics; tell whether it serves any."""
        command = ("nsenter", "-t", str(self._process.pid), "-n", PYTHON, "-c", _SCRAPE)
        return subprocess.run(command, capture_output=True).returncode == 0

    def _cpu(self) -> float:
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


class AgentNode:
    """The node: `tree` of its devices, none at first; its `kubelet`, which does not run yet."""

    def __init__(self, directory: str) -> None:
        self.tree = Tree(f"{directory}/sys")
        self.kubelet = Kubelet(f"{directory}/kubelet")
        self._config = Path(f"{directory}/config.json")
        self._data = f"{directory}/data"
        os.mkdir(self._data)

    def fill(self) -> None:
        """Have all devices."""
        for number, address in enumerate(PFS):
            self.tree.pf(address, f"ens{number}f0", vfs=VFS, total=VFS)

    def configure(self, **selectors: dict[str, Any]) -> None:
        """Replace the configuration: by resources with selectors."""
        resources = [{"resourceName": k, "selectors": v} for k, v in selectors.items()]
        new = self._config.with_suffix(".new")
        new.write_text(json.dumps({"resourceList": resources}), encoding="utf-8")
        new.rename(self._config)

    def healthy(self) -> int:
        """Return how many devices of RESOURCES kubelet could give to pods."""
        return sum(sum(self.kubelet.devices(name).values()) for name in RESOURCES)

    async def lists(self, devices: int) -> None:
        """Wait until kubelet follows the lists of RESOURCES, with so many healthy devices."""
        kubelet = self.kubelet
        await until(
            lambda: {*RESOURCES} <= {*kubelet.resources()} and self.healthy() == devices,
            _PATIENCE,
        )

    async def tells(self, resource: str, devices: int) -> None:
        """Wait until kubelet's list of a resource has so many healthy devices."""
        await until(lambda: sum(self.kubelet.devices(resource).values()) == devices, _PATIENCE)

    @asynccontextmanager
    async def agent(self, *tracer: str) -> AsyncIterator[Agent]:
        """Run an agent."""
        options = ("--config-file", str(self._config), "--data-dir", self._data)
        kubelet = ("--kubelet-dir", self.kubelet.directory)
        agent = await asyncio.to_thread(Agent, self.tree, (*options, *kubelet), tracer)
        try:
            yield agent
        except TimeoutError as error:
            raise BenchError(f"the agent did not do its work: {agent.log()}") from error
        finally:
            await asyncio.to_thread(agent.end)

# SPDX-License-Identifier: Apache-2.0
"""The node under torture: one attachment that has everything, made and taken down over and over."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.networks import FULL
from tests.node import Node
from tests.plugin import Plugin, processes_of

# With FULL, all an ADD can do without a driver: MAC, MTU, two addresses, three routes, alternative
# names of which one is in the way. VF and neighbour are up: the announcer has work.
_ARGUMENTS = "VF=0;MAC=66:d8:02:77:aa:aa"
_VF, _PEER, _POD = "eth1v0", "eth1v0p", "pod"
_ALTERNATIVE_NAMES = ("net1", "enp1s0v0")
_STATE_DIRECTORIES = ("/var/lib/cni/sriov", "/var/lib/cni/fixipam")
_TIMEOUT = 40.0  # seconds; the longest a call may wait, for a lock, is 20
# A name the kernel may choose for a VF (dev%d). sysfs lists a VF under the name it has; here, that
# takes somebody who watches.
_CHOSEN = "dev0"
_NETDEVS = "/sys/bus/pci/devices/0000:01:10.0/net"
_WATCH = f"until ip link show dev {_CHOSEN}; do sleep 0.05; done; mkdir -p {_NETDEVS}/{_CHOSEN}"
_PATIENCE = 1.0  # seconds for the announcer to notice that its interface is gone


class Ending(NamedTuple):
    """How a call ended: status as subprocess has it, output, and strace's record, if any."""

    status: int
    stdout: str
    stderr: str
    trace: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Tell whether SIGKILL ended it."""
        return self.status == -signal.SIGKILL

    def fault(self) -> str | None:
        """Say what is wrong with an answer that should be a result, an error object or nothing."""
        text = self.stdout + self.stderr
        if "Traceback" in text:
            return f"traceback: {text}"
        if self.status not in (0, 1):
            return f"exit status {self.status}: {text}"
        if self.status == 0 and not self.stdout:
            return None
        try:
            answer = json.loads(self.stdout)
        except ValueError:
            return f"exit status {self.status}, answer is no JSON: {text!r}"
        if self.status == 0:
            return None if "code" not in answer else f"status 0 with an error: {text}"
        if not isinstance(answer.get("code"), int) or not answer.get("msg"):
            return f"no error object: {text}"
        return f"internal error: {text}" if answer["code"] == 100 else None


class TortureNode(Node):
    """A node with one pod and one VF to give it, and the plugin, a copy of it, under strace."""

    def __init__(self, product: str, number: int) -> None:
        """`product` is a directory with a copy of the source, `number` tells nodes apart."""
        self._product = product
        self._log = f"{product}/strace-{number}"
        self._number = number
        self._trials = 0
        self.container = ""
        self._containers: set[str] = set()

    def __enter__(self) -> "TortureNode":
        super().__enter__()
        self.add_pf("eth1", vfs=1)
        self._pod = self.add_pod(_POD)
        for name in _ALTERNATIVE_NAMES:
            self.run("ip", "link", "property", "add", "dev", _VF, "altname", name)
        for name in (_PEER, _VF):
            self.run("ip", "link", "set", name, "up")
        self.renew()
        self.before = self.state_of_everything()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end_processes()
        super().__exit__(*exception)

    def renew(self) -> None:
        """Begin another trial: a container nobody has seen, on a node that never had an ADD."""
        self._trials += 1
        self.container = f"killed-{os.getpid()}-{self._number}{self._trials:05}"
        self._containers = set()
        for directory in _STATE_DIRECTORIES:
            shutil.rmtree(self.path(directory), ignore_errors=True)
        self.end_started()
        shutil.rmtree(self.path(f"{_NETDEVS}/{_CHOSEN}"), ignore_errors=True)

    def expect_chosen_name(self) -> None:
        """Have sysfs follow if the VF gets a name of the kernel's choice within this trial."""
        self.start("sh", "-c", _WATCH)

    def call(
        self, command: str, tampering: Sequence[str] = (), *, container: str = "", **more: object
    ) -> Ending:
        """Execute a command of the plugin, under strace if there are options for it.

        `container` is another one than the trial's; `more` are keys of the configuration.
        """
        source = ("env", f"PYTHONPATH={self._product}", "PYTHONDONTWRITEBYTECODE=1")
        strace = ("strace", "-o", self._log, *tampering) if tampering else ()
        python = (sys.executable, "-P", "-m", "sriov_cni")
        plugin = Plugin(*self.entering, *source, *strace, *python)
        config = FULL | more
        if command == "GC":
            config["cni.dev/valid-attachments"] = []
        begin = time.monotonic()
        owner = container or self.container
        self._containers.add(owner)
        running = plugin.start(command, config, container=owner, netns=self._pod, args=_ARGUMENTS)
        try:
            stdout, stderr = running.process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._end_processes()
            stdout, stderr = running.process.communicate()
            stderr += f"killed by the test, after {_TIMEOUT:.0f} s"
        trace = ""
        if strace:
            with open(self._log, encoding="utf-8", errors="replace") as file:
                trace = file.read()
        seconds = time.monotonic() - begin
        return Ending(running.process.returncode, stdout, stderr, trace, seconds)

    def state_of_everything(self) -> dict[str, object]:
        """Return all that an attachment may change, on the host and in the pod."""
        state = self.state()
        links = state.pop("links")
        assert isinstance(links, dict)
        pod = self.ip("-n", _POD, "link", "show")
        return state | links | {"pod": sorted(link["ifname"] for link in pod)}

    def pod_macs(self) -> dict[str, str]:
        """Return the MACs of the pod's interfaces."""
        return {link["ifname"]: link["address"] for link in self.ip("-n", _POD, "link", "show")}

    def left(self) -> list[str]:
        """Return a phrase for all that is not as it was before the ADD."""
        now = self.state_of_everything()
        differences = [
            f"{thing}: {now.get(thing)}, not {self.before.get(thing)}"
            for thing in sorted({*now, *self.before})
            if now.get(thing) != self.before.get(thing)
        ]
        deadline = time.monotonic() + _PATIENCE
        while processes := self._processes():
            if time.monotonic() > deadline:
                differences.append(f"processes: {processes}")
                break
            time.sleep(0.02)
        return differences

    def _processes(self) -> list[str]:
        return [process for name in sorted(self._containers) for process in processes_of(name)]

    def _end_processes(self) -> None:
        for process in self._processes():
            os.kill(int(process), signal.SIGKILL)


def copy_product(directory: Path) -> str:
    """Copy the product's source, so that no edit changes it between recording and tampering."""
    source = Path(__file__).parents[2]
    for package in ("sriov_cni", "ipam"):
        shutil.copytree(source / package, directory / package)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(directory)], check=True)
    return str(directory)

# SPDX-License-Identifier: Apache-2.0
"""Ten thousand random steps of a node's life: no VF is given twice, none is lost, memory is flat.

The agent is a process of its own, on a machine of files; kubelet is a fake that allocates as
kubelet does. What pods do to VFs is done to the machine's files and to the plugin's records.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.call import Arguments
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device, Snapshot
from tests.kubelet import AdmissionError, Allocated, Kubelet, until
from tests.sysfs import Tree, seeing

STEPS = 10_000
RESTARTS_END = 6_000  # from then on it is one process, whose memory is looked at
PFS = {"0000:3b:00.0": "ens901f0", "0000:5e:00.0": "ens902f0"}
VFS = 16
NET, DPDK = "intel.com/net", "intel.com/dpdk"
DRIVERS = {NET: "iavf", DPDK: "vfio-pci"}
CONFIG = {
    "resourceList": [
        {
            "resourceName": name.partition("/")[2],
            "selectors": {"drivers": [driver]},
            "allocation": allocation,
        }
        for (name, driver), allocation in zip(DRIVERS.items(), ("packed", "balanced"), strict=True)
    ]
}


class Life:
    """A node, and what pods and operators do to it."""

    def __init__(self, directory: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.tree = Tree(f"{directory}/sys")
        for pf, name in PFS.items():
            self.tree.pf(pf, name, vfs=VFS)
        self.drivers = {vf: "iavf" for pf in PFS for vf in self.vfs(pf)}
        self.kubelet = Kubelet(f"{directory}/k")
        self.records = AttachmentRecords(f"{directory}/data", create=True)
        config = Path(directory) / "config.json"
        config.write_text(json.dumps(CONFIG))
        self.command = seeing(
            self.tree,
            *(sys.executable, "-P", "-m", "sriov_node", "--config-file", str(config)),
            *("--kubelet-dir", self.kubelet.directory, "--data-dir", f"{directory}/data"),
            *("--log-level", "error"),
        )
        self.agent = self.started()
        self.pods: list[Allocated] = []
        self.attached: list[Allocated] = []
        self.given = self.refused = 0

    def started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command)

    def vfs(self, pf: str) -> list[str]:
        links = (self.tree.device(pf)).glob("virtfn*")
        return [os.path.basename(os.readlink(link)) for link in links]

    def held(self) -> set[str]:
        return {vf for pod in self.pods for vf in pod.ids}

    async def settle(self) -> None:
        """Wait until kubelet may give away just those VFs that are there and nobody's."""

        def free(resource: str) -> set[str]:
            return {v for v, driver in self.drivers.items() if driver == DRIVERS[resource]}

        expected = {resource: free(resource) - self.held() for resource in DRIVERS}
        self.agent.send_signal(signal.SIGHUP)
        try:
            await until(
                lambda: {r: set(self.kubelet.free(r)) for r in DRIVERS} == expected, seconds=10
            )
        except TimeoutError:
            assert {r: set(self.kubelet.free(r)) for r in DRIVERS} == expected

    async def allocate(self) -> None:
        resource = self.random.choice(list(DRIVERS))
        try:
            given = await self.kubelet.allocate(resource, self.random.choice((1, 1, 2, 3)))
        except AdmissionError:
            self.refused += 1
            return
        assert not set(given.ids) & self.held(), "a VF was given twice"
        assert {self.drivers.get(vf) for vf in given.ids} == {DRIVERS[resource]}
        variable = f"PCIDEVICE_INTEL_COM_{resource.partition('/')[2].upper()}"
        assert given.answer.envs[variable] == ",".join(given.ids)
        self.pods.append(given)
        self.given += 1

    async def attach(self) -> None:
        waiting = [pod for pod in self.pods if pod not in self.attached]
        if waiting:
            pod = self.random.choice(waiting)
            self.attached.append(pod)
            for vf in pod.ids:
                self.records.write(self.record(pod, vf))
                if self.drivers[vf] == "iavf":
                    self.tree.take(self.netdev(vf))

    async def end(self) -> None:
        if self.pods:
            pod = self.random.choice(self.pods)
            if pod in self.attached:
                self.attached.remove(pod)
                for vf in pod.ids:
                    if self.drivers[vf] == "iavf":
                        self.tree.netdev(vf, self.netdev(vf))
                    self.records.remove(self.record(pod, vf))
            self.pods.remove(pod)
            self.kubelet.release(pod)

    async def rebind(self) -> None:
        if idle := sorted(self.drivers.keys() - self.held()):
            vf = self.random.choice(idle)
            self.drivers[vf] = self.random.choice(list(DRIVERS.values()))
            self.tree.bind(vf, self.drivers[vf])
            if self.drivers[vf] == "iavf":
                self.tree.netdev(vf, self.netdev(vf))

    async def change_numvfs(self) -> None:
        pf = self.random.choice(list(PFS))
        if not self.held() & set(self.vfs(pf)):
            for vf in self.vfs(pf):
                del self.drivers[vf]
            self.tree.set_numvfs(pf, self.random.choice((4, VFS // 2, VFS)))
            self.drivers |= dict.fromkeys(self.vfs(pf), "iavf")

    async def rescan(self) -> None:
        self.agent.send_signal(signal.SIGHUP)

    async def restart_kubelet(self) -> None:
        await self.kubelet.restart(killed=self.random.random() < 0.5)
        await self.settle()

    async def restart_agent(self) -> None:
        self.agent.kill()
        self.agent.wait()
        self.agent = self.started()
        await self.come_up()

    async def replace_agent(self) -> None:
        before, self.agent = self.agent, self.started()
        await self.come_up()
        before.terminate()
        assert before.wait() == 0
        await self.settle()

    async def come_up(self) -> None:
        """Wait for an agent that has just been started: until then, it knows no SIGHUP."""
        count = sum(self.kubelet.registrations.values())
        await until(lambda: sum(self.kubelet.registrations.values()) >= count + 2, seconds=20)
        await self.settle()

    def resident(self) -> float:
        """Return the agent's memory in MiB."""
        status = Path(f"/proc/{self.agent.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def netdev(self, vf: str) -> str:
        pf = os.path.basename(os.readlink(self.tree.device(vf) / "physfn"))
        return f"{PFS[pf]}v{self.vfs_in_order(pf).index(vf)}"

    def vfs_in_order(self, pf: str) -> list[str]:
        return [self.tree.vf(pf, index) for index in range(VFS)]

    def record(self, pod: Allocated, vf: str) -> Record:
        """Return what the plugin would have written about an attachment."""
        pf = os.path.basename(os.readlink(self.tree.device(vf) / "physfn"))
        owner = Owner(pod.pod, f"net{pod.ids.index(vf)}")
        function = PciFunction(PFS[pf], self.vfs_in_order(pf).index(vf), vf)
        is_net = self.drivers[vf] == "iavf"
        device = Device(self.netdev(vf), (), "02:00:00:00:00:01", 1500, False, "", None)
        before = Snapshot(device if is_net else None, None)
        netns = f"/proc/{os.getpid()}/ns/net"
        return Record(
            owner, netns, "n", self.records.boot, function, before, Arguments.parse(""), {}
        )


async def live(directory: str) -> None:
    life = Life(directory, seed=14)
    usual: dict[Callable[[], Awaitable[None]], float] = {
        life.allocate: 36,
        life.attach: 26,
        life.end: 28,
        life.rebind: 6,
        life.rescan: 2,
        life.change_numvfs: 1,
        life.settle: 0.6,
        life.restart_kubelet: 0.3,
    }
    disruptive = {**usual, life.restart_agent: 0.15, life.replace_agent: 0.15}
    await life.kubelet.start()
    try:
        await until(lambda: life.kubelet.resources() == sorted(DRIVERS), seconds=20)
        sizes = []
        for step in range(STEPS):
            steps = disruptive if step < RESTARTS_END else usual
            (action,) = life.random.choices(list(steps), list(steps.values()))
            await action()
            if step in (RESTARTS_END + 1_000, STEPS - 1):
                sizes.append(life.resident())
        while life.pods:
            await life.end()
        await life.settle()
        print(f"given {life.given} times, refused {life.refused} times; MiB: {sizes}")
        assert life.given > STEPS / 10
        assert sizes[1] - sizes[0] <= 1, sizes
    finally:
        life.agent.terminate()
        life.agent.wait()
        await life.kubelet.stop()


def test_ten_thousand_steps() -> None:
    with TemporaryDirectory() as directory:
        asyncio.run(live(directory))

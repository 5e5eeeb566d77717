# SPDX-License-Identifier: Apache-2.0
"""What `sriovctl` prints on a node in the lab: the screens of docs/sriovctl.md.

    tests/lab/boot -p 3 .venv/bin/python -m tests.lab.screens

The node has its cards prepared, an agent, and pods. What differs from run to run is written alike.
"""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests import card
from tests.kubelet import Kubelet, until
from tests.lab.runtime import AGENT, BUILT, INSTALLED, TOOLS
from tests.networks import DEVICE
from tests.plugin import Document, Plugin, run

NODE_FILE = Path("/etc/sriov/node.json")
KUBELET = "/var/lib/kubelet"
NET, DPDK = "intel.com/net", "intel.com/dpdk"
WANTED = {
    "functions": [
        {"match": {"pf": "eth1"}, "vfs": 5, "drivers": {"3-4": "vfio-pci"}},
        {"match": {"pf": "eth2"}, "vfs": 2},
    ],
    "resources": [
        {"resourceName": "net", "selectors": {"drivers": ["igbvf"]}},
        {"resourceName": "dpdk", "selectors": {"pfNames": ["eth1"], "drivers": ["vfio-pci"]}},
    ],
}
FEWER = WANTED | {"functions": [{"match": {"pf": "eth1"}, "vfs": 3}]}
DOCUMENTATION = "00:00:5e:00:53:"  # MACs that are nobody's (RFC 7042, section 2.1.2)


def want(document: Mapping[str, object]) -> None:
    """Write the node's file."""
    NODE_FILE.parent.mkdir(exist_ok=True)
    NODE_FILE.write_text(json.dumps(document))


def screen(command: str) -> str:
    """Return what a command prints, without what differs from run to run."""
    shell = {"PATH": f"{TOOLS}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["sh", "-c", command],
        env=os.environ | shell,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in ended.stdout, ended.stdout
    alike = re.sub(r"(?m)\b\d+s *$", "3s", ended.stdout)
    for number, mac in enumerate(dict.fromkeys(re.findall(r"(?:[0-9a-f]{2}:){5}\S{2}", alike))):
        alike = alike.replace(mac, f"{DOCUMENTATION}{number:02x}")
    return "".join(f"{line.rstrip()}\n" for line in alike.splitlines())


async def story() -> dict[str, str]:
    """Return the screens by their commands."""
    screens: dict[str, str] = {}

    async def take(command: str) -> None:
        screens[command] = await asyncio.to_thread(screen, command)

    want(WANTED)
    await take("sriovctl node plan")
    await take("sriovctl node apply")
    async with _served() as kubelet, _pods(kubelet):
        for command in ("status", "pfs", "vfs", "attachments"):
            await take(f"sriovctl {command}")
        for device in ("eth1#0", "eth1#4", "dpdk"):
            await take(f"sriovctl explain {device}")
        run("ip", "link", "set", "eth2", "down")
        want(FEWER)
        await take("sriovctl doctor")
        await take("sriovctl node apply --dry-run")
    return screens


@asynccontextmanager
async def _served() -> AsyncIterator[Kubelet]:
    """Run kubelet and the agent."""
    kubelet = Kubelet(KUBELET)
    await kubelet.start()
    agent = subprocess.Popen([AGENT], stderr=subprocess.DEVNULL)
    try:
        await until(lambda: len(kubelet.free(NET)) == 5 and len(kubelet.free(DPDK)) == 2, 30)
        yield kubelet
    finally:
        agent.terminate()
        assert agent.wait() == 0
        await kubelet.stop()


@asynccontextmanager
async def _pods(kubelet: Kubelet) -> AsyncIterator[None]:
    """Have two pods: one with an interface, one with a VF for user space."""
    sriov = Plugin(f"{INSTALLED}/sriov")
    networks: dict[str, tuple[str, int, Document]] = {
        "web-0": (NET, 0, {"name": "data", "vlan": 100, "mac": "02:00:00:00:00:10"}),
        "dpdk-0": (DPDK, 3, {"name": "packets"}),
    }
    attached: dict[str, Document] = {}
    for pod, (resource, number, keys) in networks.items():
        vf = card.vf_address("eth1", number)
        await kubelet.allocate(resource, ids=[vf], pod=pod)
        config, netns = DEVICE | keys | {"deviceID": vf}, card.add_pod(pod)
        outcome = await asyncio.to_thread(sriov, "ADD", config, container=pod, netns=netns)
        assert outcome.status == 0, outcome
        attached[pod] = config
    yield
    for pod, config in attached.items():
        outcome = await asyncio.to_thread(sriov, "DEL", config, container=pod)
        assert outcome.status == 0, outcome
        run("ip", "netns", "delete", pod)


def taken() -> dict[str, str]:
    """Return the screens of a node whose cards are bare at first; all but /etc is as it was."""
    for pf in card.PFS:
        card.enable_vfs(pf, 0)
    run("modprobe", "-r", "vfio-pci", check=False)  # it may not be there
    try:
        return asyncio.run(story())
    finally:
        NODE_FILE.unlink()
        for pf in card.PFS:
            card.enable_vfs(pf, 0)
            card.enable_vfs(pf, card.VFS)


if __name__ == "__main__":
    run("sh", BUILT, INSTALLED)
    print(json.dumps(taken(), indent=2))

# SPDX-License-Identifier: Apache-2.0
"""The agent as a service of the node, its resources, and who has which of their devices."""

import json
import signal
from pathlib import Path
from typing import Any

from tests import card
from tests.cluster import objects
from tests.cluster.installation import PROJECT
from tests.cluster.node import DIRECTORY, NAME, Node, until, until_equal
from tests.cluster.pods import Pods
from tests.cluster.program import Program
from tests.plugin import run

PREFIX = "example.com"
RED, BLUE, VFIO = (f"{PREFIX}/{name}" for name in ("red", "blue", "vfio"))
RESOURCES: list[dict[str, Any]] = [
    {"resourceName": "red", "selectors": {"drivers": ["igbvf"], "pfNames": ["eth0"]}},
    {
        "resourceName": "blue",
        "selectors": {"drivers": ["igbvf"], "pfNames": ["eth1"]},
        "allocation": "packed",
    },
    {"resourceName": "vfio", "selectors": {"drivers": ["vfio-pci"]}},
]
# Networks whose VFs kubelet chooses.
NETWORKS = (
    objects.network("chosen-red", RED, vlan=100, ipam=objects.addresses("10.1.0")),
    objects.network("chosen-blue", BLUE, vlan=200, ipam=objects.addresses("10.2.0")),
    objects.network("chosen-vfio", VFIO, vlan=300),
)
BOTH = {RED: 1, BLUE: 1}
CONFIG = Path("/etc/pcidp/config.json")
AGENT = "/opt/sriov/bin/sriov-agent"


def install() -> None:
    """Install the released agent on the node, and give it a configuration."""
    run("sh", str(PROJECT / "release" / "sriov-node.run"))
    configure(RESOURCES)


def configure(resources: list[dict[str, Any]]) -> None:
    """Replace the configuration."""
    CONFIG.parent.mkdir(exist_ok=True)
    new = CONFIG.with_name("new")
    new.write_text(json.dumps({"resourceList": resources}))
    new.rename(CONFIG)


class Agent:
    """One process of the agent; two of them may run, as while one is replaced by the next."""

    def __init__(self, name: str, *flags: str) -> None:
        directory = DIRECTORY / name
        directory.mkdir(exist_ok=True)
        self._ready = directory / "ready"
        own = ("--resource-prefix", PREFIX, "--ready-file", str(self._ready))
        self._program = Program(directory, AGENT, *own, *flags)

    def start(self) -> None:
        """Start it, and wait until kubelet knows its resources; the API server may know older."""
        self._ready.unlink(missing_ok=True)
        self._program.start()
        until(self._ready.exists, 60, "an agent that is ready")

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        self._program.stop(by)

    def log(self) -> str:
        """Return what it has written so far."""
        return self._program.log.read_text()


def allocatable(node: Node) -> dict[str, str]:
    """Return how many devices of each resource kubelet has told the API server of."""
    found = node.api.get("Node", NAME)
    assert found is not None
    counts = found["status"]["allocatable"]
    return {name: count for name, count in counts.items() if name.startswith(PREFIX)}


def await_allocatable(node: Node, red: int, blue: int, vfio: int) -> None:
    """Wait until kubelet offers so many devices; it tells the API server every ten seconds."""
    expected = {RED: str(red), BLUE: str(blue), VFIO: str(vfio)}
    until_equal(lambda: allocatable(node), expected, 120)


def environment(name: str) -> dict[str, str]:
    """Return the variables of a pod's container."""
    lines = run("kubectl", "exec", name, "--", "env").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def devices(name: str) -> dict[str, str]:
    """Return which VF a pod's container was given of each resource, by the variables it got."""
    variables = environment(name)
    return {
        resource: variables[f"PCIDEVICE_EXAMPLE_COM_{resource.partition('/')[2].upper()}"]
        for resource in (RED, BLUE, VFIO)
        if f"PCIDEVICE_EXAMPLE_COM_{resource.partition('/')[2].upper()}" in variables
    }


def attached() -> set[str]:
    """Return the VFs that records claim."""
    names = card.files("/var/lib/cni/sriov")
    return {name.split(",")[0] for name in names if "," in name}


def refused(node: Node) -> list[str]:
    """Return the pods that kubelet did not admit, with its words."""
    return [
        f"{pod['metadata']['name']}: {pod['status']['message']}"
        for pod in node.api.list("Pod")
        if pod["status"].get("reason") == "UnexpectedAdmissionError"
    ]


def require_open(name: str) -> str:
    """Require that a pod's container can open the nodes of its vfio device; return its address."""
    variables = environment(name)
    address = variables["PCIDEVICE_EXAMPLE_COM_VFIO"]
    told = json.loads(variables["PCIDEVICE_EXAMPLE_COM_VFIO_INFO"])[address]["vfio"]
    assert told["mount"] == "/dev/vfio/vfio"
    opening = f"exec 3<>{told['dev-mount']} && exec 4<>/dev/vfio/vfio && echo opened"
    assert run("kubectl", "exec", name, "--", "sh", "-c", opening) == "opened\n"
    return address


def require_each_its_own(pods: Pods, *names: str) -> None:
    """Require that no VF was given twice, and that those given are those attached.

    A pod's DEL may still be on its way when the API server has forgotten the pod.
    """
    given = [vf for name in names for vf in devices(name).values()]
    assert len(given) == len(set(given)), given
    until_equal(attached, set(given), 120)
    for name in names:
        for interface, told in pods.networks(name).items():
            if interface not in ("", "eth0"):
                assert told["device-info"]["pci"]["pci-address"] in devices(name).values()


def await_devices(node: Node) -> None:
    """Wait until all VFs of both cards are offered."""
    until(lambda: allocatable(node).get(RED) == allocatable(node).get(BLUE) == "7", 120, "VFs")

# SPDX-License-Identifier: Apache-2.0
"""Where attachments are measured: a node made of namespaces, with a stopwatch inside.

Looks before and after each call, outside of what is timed, whether it did its work.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.samples import Sample
from tests.node import Node

HERE = Path(__file__).parent
IFNAME = "net1"
GATEWAY = "10.1.0.1"
# The kernel dismantles a temporary namespace, as the Go plugin leaves one, after the call is over;
# what is measured next must not pay for that.
_PAUSE = 0.05  # seconds


class BenchError(Exception):
    """A call failed, or did not do what it said: there is nothing to measure."""


class Program(NamedTuple):
    """A program to execute, by its path."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    stdin: str = ""

    def under(self, *command: str) -> "Program":
        """Return the same, executed by another program that is given here."""
        return self._replace(arguments=(*command, *self.arguments))


class Place(NamedTuple):
    """Where an attachment is made: a VF, the pod that gets it, and the pod's address there."""

    pf: str
    vf: int
    netdev: str
    pci_address: str
    pod: str
    address: str


class Ending(NamedTuple):
    """How a program ended; seconds of CPU, and minor page faults, children's included."""

    status: int
    cpu: float
    faults: int
    stdout: str
    stderr: str


class Run(NamedTuple):
    """Programs that were started at once; seconds until all had ended."""

    seconds: float
    endings: list[Ending]

    @property
    def sample(self) -> Sample:
        """Return the figures of all of them together."""
        cpu = sum(ending.cpu for ending in self.endings)
        return Sample(self.seconds, cpu, sum(ending.faults for ending in self.endings))


class BenchNode(Node):
    """A node in whose namespaces programs are measured; a context manager."""

    def __enter__(self) -> "BenchNode":
        super().__enter__()
        self._before: dict[str, Any] = {}
        self._worker = subprocess.Popen(
            [*self.entering, sys.executable, "-I", str(HERE / "run_stopwatch.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._worker.kill()
        self._worker.wait()
        super().__exit__(*exception)

    def execute(self, *programs: Program) -> Run:
        """Execute programs at once; raise BenchError if one fails or leaves a process behind."""
        time.sleep(_PAUSE)
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        print(json.dumps(programs), file=self._worker.stdin, flush=True)
        answer = json.loads(self._worker.stdout.readline())
        run = Run(answer["seconds"], [Ending(*ending) for ending in answer["endings"]])
        for program, ending in zip(programs, run.endings, strict=True):
            if ending.status != 0:
                said = ending.stdout + ending.stderr
                raise BenchError(f"{program.arguments} ended with {ending.status}: {said}")
        if answer["left"]:
            raise BenchError(f"{programs[0].arguments} left a process: was there no carrier?")
        return run

    def add_card(self, pf: str, vfs: int, bus: int = 1, pods: int = 1) -> list[Place]:
        """Make a PF with VFs in sysfs, and return places: its first `pods` VFs, and its last VF.

        Only VFs of places have network devices; their peers are up, so that there is carrier. The
        pods are called <pf>pod0 and so on; the last VF is for the first pod, too.
        """
        self.add_pf(pf, vfs=0, total=vfs, bus=bus)
        parent, devices = f"0000:{bus:02x}:00.0", "/sys/bus/pci/devices"
        self.write(f"{devices}/{parent}/sriov_numvfs", f"{vfs}\n")
        places = []
        for vf in range(vfs):
            address, netdev = f"0000:{bus + 128:02x}:{vf // 8:02x}.{vf % 8}", f"{pf}v{vf}"
            os.makedirs(self.path(f"{devices}/{address}/net/{netdev}"))
            self.link(f"{devices}/{address}/driver", "/drivers/vethvf")
            self.link(f"{devices}/{address}/physfn", f"../{parent}")
            self.link(f"{devices}/{parent}/virtfn{vf}", f"../{address}")
            if vf < pods or vf == vfs - 1:
                pod = f"{pf}pod{vf if vf < pods else 0}"
                places.append(Place(pf, vf, netdev, address, pod, f"10.1.0.{vf % 200 + 10}"))
        for place in places:
            veth = f"link add {place.netdev} type veth peer name {place.netdev}p"
            self.run("ip", *veth.split())
            self.run("ip", "link", "set", f"{place.netdev}p", "up")
            (link,) = self._links([place])
            self._before[place.netdev] = _state(link)
        for pod in sorted({place.pod for place in places}):
            self.add_pod(pod)
        return places

    def add_devices(self, count: int) -> None:
        """Make devices on the host that no call is about."""
        script = f"for n in $(seq {count}); do echo link add other$n up type bridge; done"
        self.run("sh", "-c", f"{script} | ip -batch -")

    def expect_attached(self, place: Place, *, configured: bool = True) -> None:
        """Raise BenchError unless the pod has the VF, up; and address and route if `configured`."""
        (link,) = self.ip("-n", place.pod, "addr", "show", IFNAME)
        addresses = {f"{address['local']}/{address['prefixlen']}" for address in link["addr_info"]}
        routes = {
            (route["dst"], route.get("gateway")) for route in self.ip("-n", place.pod, "route")
        }
        up = "UP" in link["flags"] and link["operstate"] == "UP"
        complete = f"{place.address}/24" in addresses and ("default", GATEWAY) in routes
        if not up or (configured and not complete):
            raise BenchError(f"{place.pod} has not what it should have: {link}, {routes}")

    def expect_returned(self, *places: Place) -> None:
        """Raise BenchError unless the VFs are on the host as they were at first.

        Their alias, where the Go plugin leaves one, is removed: who comes next finds the same VF.
        """
        for place, link in zip(places, self._links(places), strict=True):
            if link.get("ifalias"):
                self.run("ip", "link", "set", place.netdev, "alias", "")
            now, before = _state(link), self._before[place.netdev]
            if now != before:
                raise BenchError(f"{place.netdev} came back as {now}, not {before}")

    def _links(self, places: Sequence[Place]) -> list[Any]:
        """Return what ip says of the VFs' devices: in one go, if there are several."""
        if len(places) == 1:
            return list(self.ip("link", "show", places[0].netdev))
        links = {link["ifname"]: link for link in self.ip("link", "show")}
        return [links[place.netdev] for place in places if place.netdev in links]


def _state(link: dict[str, Any]) -> dict[str, Any]:
    """Return what an ADD may change of a device and a DEL has to restore."""
    state = {key: link.get(key) for key in ("address", "mtu", "altnames")}
    return state | {"up": "UP" in link["flags"]}

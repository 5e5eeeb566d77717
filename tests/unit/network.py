# SPDX-License-Identifier: Apache-2.0
"""A network whose addresses fixipam grants, as the unit tests use it."""

from pathlib import Path
from typing import Any

from tests.plugin import Document, Outcome, Running
from tests.unit.executable import FIXIPAM


class Network:
    """A configuration on a node of its own.

    `ipam` and `keys` (of the configuration around it) are there to be changed.
    """

    def __init__(self, data_directory: Path) -> None:
        self.data_directory = data_directory
        self.keys: Document = {"cniVersion": "1.1.0", "name": "mynet"}
        self.ipam: Document = {
            "type": "fixipam",
            "subnet": "10.55.206.0/26",
            "gateway": "10.55.206.1",
            "dataDir": str(data_directory),
        }

    def pool(self, first: str, last: str) -> None:
        """Open the network's subnet to attachments that ask for no address."""
        self.ipam |= {"rangeStart": first, "rangeEnd": last}

    def ranges(self, *ranges: Any) -> None:
        """Have these ranges instead of the one subnet."""
        self.ipam = {"type": "fixipam", "ranges": [*ranges], "dataDir": str(self.data_directory)}

    def start(
        self, command: str, pod: str, ask: str = "", ifname: str = "net1", **keys: Any
    ) -> Running:
        """Start a command for a pod's interface; `ask` is the IP of CNI_ARGS."""
        config = {**self.keys, "ipam": self.ipam, **keys}
        args = f"IgnoreUnknown=1;IP={ask}" if ask else ""
        return FIXIPAM.start(
            command, config, container=pod, ifname=ifname, netns=f"/run/netns/{pod}", args=args
        )

    def add(self, pod: str, ask: str = "", ifname: str = "net1", **keys: Any) -> Outcome:
        """ADD a pod's interface."""
        return self.start("ADD", pod, ask, ifname, **keys).outcome()

    def delete(self, pod: str, ifname: str = "net1", **keys: Any) -> Outcome:
        """DEL a pod's interface."""
        return self.start("DEL", pod, ifname=ifname, **keys).outcome()

    def check(self, pod: str, previous: Document | None) -> Outcome:
        """CHECK a pod's interface."""
        return self.start("CHECK", pod, prevResult=previous).outcome()

    def collect(self, *valid: str) -> Outcome:
        """GC all but the interfaces net1 of these pods."""
        attachments = [{"containerID": pod, "ifname": "net1"} for pod in valid]
        keys: Document = {"cni.dev/valid-attachments": attachments}
        return self.start("GC", "", **keys).outcome()

    def status(self) -> Outcome:
        """STATUS of the network."""
        return self.start("STATUS", "").outcome()

    def leases(self) -> int:
        """Return how many leases there are in the data directory."""
        return sum(path.is_file() for path in self.data_directory.rglob("*,*"))

    @property
    def released(self) -> Path:
        """The list of the network's released addresses."""
        return self.data_directory / "mynet" / "released"


def addresses(document: Document) -> list[str]:
    """Return the addresses of a result (from 0.3.0)."""
    return [ip["address"] for ip in document["ips"]]

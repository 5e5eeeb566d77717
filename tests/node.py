# SPDX-License-Identifier: Apache-2.0
"""A node made of namespaces: veth pairs stand in for VFs, a tmpfs for the parts of sysfs they lack.

A process in its own network and mount namespaces is "the host"; over /sys/class/net and
/sys/bus/pci/devices lies a tree like the one an SR-IOV card has. The plugin runs there unchanged.
What a driver does is out of reach here: tests/lab has that.
"""

import os
import shutil
import subprocess
import sys
from typing import Any

from tests.plugin import Plugin, run, run_json

# What whoever administers a device may set, and what goes with it from namespace to namespace.
SETTABLE_FLAGS = {"UP", "NOARP", "PROMISC", "ALLMULTI", "MULTICAST"}
SETTINGS = (
    *("broadcast", "txqlen", "linkmode", "ifalias", "group", "xdp", "gso_max_size", "gso_max_segs"),
    *("gro_max_size", "gso_ipv4_max_size", "gro_ipv4_max_size"),
)
_SET_UP = """
set -e
mount --make-rprivate /
for directory in /sys/class/net /sys/bus/pci/devices /run/netns /var/lib; do
    mkdir -p $directory
    mount -t tmpfs tmpfs $directory
done
mkdir -p /var/lib/cni
ip link set lo up
echo ready
exec sleep infinity
"""


class Node:
    """A host with PFs and pods; a context manager, everything is gone with its process."""

    def __enter__(self) -> "Node":
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", _SET_UP], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "cannot make namespaces: not root?"
        self._daemons: list[subprocess.Popen[str]] = []
        self.netns = str(self._process.pid)
        self.entering: tuple[str, ...]
        self.entering = ("nsenter", "-t", str(self._process.pid), "-m", "-n", "--")
        python = (sys.executable, "-P")
        self.sriov = Plugin(*self.entering, *python, "-m", "sriov_cni")
        self.fixipam = Plugin(*self.entering, *python, "-m", "ipam")
        return self

    def __exit__(self, *exception: object) -> None:
        self.end_started()
        self._process.kill()
        self._process.wait()

    def run(self, *command: str) -> str:
        """Run a command on the host."""
        return run(*self.entering, *command)

    def start(self, *command: str) -> None:
        """Start a program on the host that runs until `end_started`, or the node's end."""
        command = (*self.entering, *command)
        nothing = subprocess.DEVNULL
        daemon = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, text=True)
        self._daemons.append(daemon)

    def end_started(self) -> None:
        """End all programs started on the host."""
        while self._daemons:
            daemon = self._daemons.pop()
            daemon.kill()
            daemon.wait()

    def ip(self, *arguments: str) -> Any:
        """Return what `ip -j` says on the host."""
        return run_json(*self.entering, "ip", "-j", "-d", *arguments)

    def path(self, path: str) -> str:
        """Return where the test finds a file of the host's mount namespace."""
        return f"/proc/{self._process.pid}/root{path}"

    def add_pf(self, name: str, vfs: int, total: int = 8, bus: int = 1) -> None:
        """Make a PF with VFs called <name>v0, <name>v1 and so on, down, as drivers leave them."""
        self.run("ip", "link", "add", name, "up", "type", "veth", "peer", "name", f"{name}wire")
        devices = "/sys/bus/pci/devices"
        pf_address = f"0000:{bus:02x}:00.0"
        self.write(f"{devices}/{pf_address}/sriov_totalvfs", f"{total}\n")
        self.write(f"{devices}/{pf_address}/sriov_numvfs", f"{vfs}\n")
        os.makedirs(self.path(f"{devices}/{pf_address}/net/{name}"))
        os.makedirs(self.path(f"/sys/class/net/{name}"))
        self.link(f"/sys/class/net/{name}/device", f"../../../bus/pci/devices/{pf_address}")
        for vf in range(vfs):
            address = f"0000:{bus:02x}:10.{vf}"
            netdev = f"{name}v{vf}"
            self.run("ip", "link", "add", netdev, "type", "veth", "peer", "name", f"{netdev}p")
            os.makedirs(self.path(f"{devices}/{address}/net/{netdev}"))
            self.link(f"{devices}/{address}/driver", "/drivers/vethvf")
            self.link(f"{devices}/{address}/physfn", f"../{pf_address}")
            self.link(f"{devices}/{pf_address}/virtfn{vf}", f"../{address}")

    def bind_to_userspace(self, vf: int, driver: str = "vfio-pci") -> None:
        """Have the driver of a VF of the first PF give it no network device."""
        device = f"/sys/bus/pci/devices/0000:01:10.{vf}"
        shutil.rmtree(self.path(f"{device}/net"))
        self.link(f"{device}/driver", f"/drivers/{driver}")

    def take_from_pod(self, pod: str, name: str, home: str) -> None:
        """Bring a device back to the host, as the kernel does when a namespace dies."""
        self.run("ip", "-n", pod, "link", "set", name, "netns", self.netns, "name", home)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link on the host, whatever it replaces."""
        if os.path.islink(self.path(path)):
            os.unlink(self.path(path))
        os.symlink(target, self.path(path))

    def write(self, path: str, text: str) -> None:
        """Write a file of the host's."""
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, path: str) -> str:
        """Return the text of a file of the host's."""
        with open(self.path(path), encoding="utf-8") as file:
            return file.read()

    def add_pod(self, name: str) -> str:
        """Make a pod's network namespace and return its path."""
        self.run("ip", "netns", "add", name)
        return f"/run/netns/{name}"

    def run_in_pod(self, pod: str, script: str) -> None:
        """Have a pod's shell run a script."""
        self.run("ip", "netns", "exec", pod, "sh", "-ec", script)

    def net1(self) -> Any:
        """Return what ip says of the interface net1 of the pod called `pod`."""
        (link,) = self.ip("-n", "pod", "addr", "show", "net1")
        return link

    def routes(self, family: str = "-4") -> set[tuple[str, str | None]]:
        """Return destinations and gateways of that pod's static routes."""
        listed = self.ip("-n", "pod", family, "route", "show", "proto", "static")
        return {(route["dst"], route.get("gateway")) for route in listed}

    def dad_failed(self) -> bool:
        """Tell whether one of that pod's addresses was found to be a duplicate."""
        return any(address.get("dadfailed") for address in self.net1()["addr_info"])

    def state(self) -> dict[str, object]:
        """Return all that an ADD may change on the host: devices, records, leases."""
        links = self.ip("link", "show")
        return {
            "links": {
                link["ifname"]: (
                    link.get("address"),
                    link["mtu"],
                    sorted(set(link["flags"]) & SETTABLE_FLAGS),
                    sorted(link.get("altnames", [])),
                    [link.get(setting) for setting in SETTINGS],
                )
                for link in links
            },
            "records": self.files("/var/lib/cni/sriov"),
            "leases": self.files("/var/lib/cni/fixipam"),
        }

    def files(self, directory: str) -> list[str]:
        """Return the names of all files below a directory but what holds a lock or an order."""
        found = (names for _, _, names in os.walk(self.path(directory)))
        return sorted(n for names in found for n in names if n not in ("lock", "released"))

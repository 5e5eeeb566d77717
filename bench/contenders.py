# SPDX-License-Identifier: Apache-2.0
"""Who is measured: this project's executables, the CNI project's Go plugins, bare interpreters.

All plugins are asked for the same: one device, one address, one default route.
"""

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

from bench.node import GATEWAY, IFNAME, BenchError, Place, Program
from tests.plugin import Document

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("SRIOV_CNI_CACHE") or Path.home() / ".cache" / "sriov-cni")
GO_VERSION = "1.9.1"  # tools/setup builds it

OURS, ON_DISK = "sriov", "sriov, state on disk"
RELEASED = "sriov, released"  # with the Python of released executables: what nodes have
BEFORE = "sriov, before"  # of an earlier commit, where BENCH_BEFORE names one
GO, DEBIAN = f"Go {GO_VERSION}", "Go, Debian's"
BARE, FLOOR = "python3 -I -S -c pass", "python3, one namespace move"

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
# The interpreter proper: what is first in PATH may be a script that looks for one.
PYTHON = str((Path(sys.base_prefix) / "bin" / "python3").resolve())
_VERSION = "1.0.0"  # of the specification; Debian's plugins know no newer one


class Executable(NamedTuple):
    """An executable, and the files that have to be installed for what is measured."""

    path: Path
    files: tuple[Path, ...]

    def size(self) -> int:
        """Return the bytes of all its files."""
        trees = [[path, *path.rglob("*")] for path in self.files]
        return sum(file.stat().st_size for tree in trees for file in tree if file.is_file())


def _go(directory: Path) -> Executable:
    return Executable(directory / "host-device", (directory / "host-device", directory / "static"))


EXECUTABLES = {
    OURS: Executable(ROOT / "dist/sriov-cni/sriov", (ROOT / "dist/sriov-cni",)),
    RELEASED: Executable(ROOT / "release/sriov-cni/sriov", (ROOT / "release/sriov-cni",)),
    GO: _go(CACHE / "bin" / f"go-{GO_VERSION}"),
    DEBIAN: _go(Path("/usr/lib/cni")),
}
AGENT = Executable(ROOT / "release/sriov-node/sriov-agent", (ROOT / "release/sriov-node",))


def add_before(bundle: Path) -> None:
    """Have the bundle of an earlier commit measured, too."""
    EXECUTABLES[BEFORE] = Executable(bundle / "sriov", (bundle,))


class Attachment(NamedTuple):
    """An attachment as a runtime asks for it."""

    executable: Path
    config: Document
    place: Place
    arguments: str = ""

    def program(self, command: str, result: str = "") -> Program:
        """Return the call of a command; `result` is what ADD printed, for those after it."""
        config = self.config | ({"prevResult": json.loads(result)} if result else {})
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.place.pod,
            "CNI_IFNAME": IFNAME,
            "CNI_NETNS": f"/run/netns/{self.place.pod}",
            "CNI_ARGS": self.arguments,
            "CNI_PATH": str(self.executable.parent),
        }
        return Program((str(self.executable),), ENVIRONMENT | environment, json.dumps(config))


def ours(place: Place, name: str = OURS, *, state: str = "", **selection: object) -> Attachment:
    """Return an attachment by this project: of the place's VF, or as the keys given select one.

    `state` is the directory for records and leases, empty for those in /var/lib/cni.
    """
    ipam: Document = {"type": "fixipam", "subnet": "10.1.0.0/24"}
    config: Document = {"cniVersion": _VERSION, "name": "bench", "type": "sriov"}
    config |= selection or {"master": place.pf, "vf": place.vf}
    if state:
        config["dataDir"], ipam["dataDir"] = f"{state}/sriov", f"{state}/fixipam"
    config["ipam"] = ipam | {"gateway": GATEWAY, "routes": [{"dst": "0.0.0.0/0"}]}
    return Attachment(EXECUTABLES[name].path, config, place, f"IP={place.address}")


def go(place: Place, name: str = GO) -> Attachment:
    """Return an attachment by host-device and static, of the device of the place's VF."""
    addresses = [{"address": f"{place.address}/24", "gateway": GATEWAY}]
    config: Document = {"cniVersion": _VERSION, "name": "bench", "type": "host-device"}
    config["device"] = place.netdev
    config["ipam"] = {"type": "static", "addresses": addresses, "routes": [{"dst": "0.0.0.0/0"}]}
    return Attachment(EXECUTABLES[name].path, config, place)


def version(name: str) -> Program:
    """Return the call of VERSION."""
    stdin = json.dumps({"cniVersion": _VERSION})
    path = str(EXECUTABLES[name].path)
    return Program((path,), ENVIRONMENT | {"CNI_COMMAND": "VERSION"}, stdin)


def bare() -> Program:
    """Return the interpreter with nothing to do."""
    return Program((PYTHON, "-I", "-S", "-c", "pass"), ENVIRONMENT)


def floor(place: Place) -> Program:
    """Return the interpreter that moves the place's VF to its pod, and does nothing else."""
    script = str(Path(__file__).with_name("run_floor.py"))
    netns = f"/run/netns/{place.pod}"
    return Program((PYTHON, "-I", "-S", script, place.netdev, netns, IFNAME), ENVIRONMENT)


def expect_executables() -> None:
    """Raise BenchError if something to measure is not there."""
    for executable in (*EXECUTABLES.values(), AGENT):
        for path in (executable.path, *executable.files):
            if not path.exists():
                raise BenchError(f"{path} is missing: start this with make bench")

# SPDX-License-Identifier: Apache-2.0
"""The lab's cards as node preparation makes them: what is wanted of them, and what they are."""

import json
import os
import subprocess
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple

from tests import card
from tests.plugin import run

VFIO = "vfio-pci"


class State(NamedTuple):
    """What a PF is to be: so many VFs, those in `vfio` for user space."""

    vfs: int
    vfio: tuple[int, ...] = ()

    def wanted(self, pf: str, **more: object) -> dict[str, Any]:
        """Return the entry of the node's file for this."""
        drivers = {str(number): VFIO for number in self.vfio}
        return {"match": {"pf": pf}, "vfs": self.vfs, "drivers": drivers, **more}

    def drivers(self) -> list[str]:
        """Return the drivers of the VFs that a PF has then."""
        return [VFIO if number in self.vfio else "igbvf" for number in range(self.vfs)]


def drivers(pf: str) -> list[str]:
    """Return the drivers that the VFs of a PF have, "" for none."""
    found = []
    for number in range(card.VFS):
        link = f"/sys/class/net/{pf}/device/virtfn{number}"
        if os.path.exists(link):
            driver = os.path.realpath(f"{link}/driver")
            found.append(os.path.basename(driver) if os.path.exists(f"{link}/driver") else "")
    return found


def autoprobe(pf: str) -> str:
    """Return whether new VFs of a PF get their kernel driver: 1, or 0."""
    return Path(f"/sys/class/net/{pf}/device/sriov_drivers_autoprobe").read_text().strip()


class Outcome(NamedTuple):
    """How `sriovctl node` ended, and what it printed as JSON."""

    status: int
    document: dict[str, Any]
    stderr: str

    @property
    def taken(self) -> list[str]:
        """The steps that were taken, in words."""
        return [f"{step['action']} {step['value']}" for step in self.document.get("taken", [])]

    @property
    def in_use(self) -> dict[str, str]:
        """What is in use, by address."""
        return {each["address"]: "; ".join(each["uses"]) for each in self.document["refusals"]}


class Tool:
    """`sriovctl`, with a directory of its own for the node's files."""

    def __init__(self, executable: str, directory: Path) -> None:
        self._command = [executable, "--config-dir", str(directory)]
        self._command += ["--kubelet-dir", str(directory / "kubelet")]
        self._file = directory / "node.json"

    def want(self, *functions: dict[str, Any], **more: object) -> None:
        """Write the node's file."""
        self._file.write_text(json.dumps({"functions": functions, **more}))

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a call."""
        return [*self._command, *arguments]

    def node(self, *arguments: str) -> Outcome:
        """Call `sriovctl node` and return how it ended."""
        command = self.command("node", *arguments, "-o", "json")
        process = subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True)
        try:
            stdout, stderr = process.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            where = _where(process.pid)
            process.kill()  # and do not wait: in the kernel, it may not end
            raise AssertionError(f"{' '.join(arguments)} does not end; it is in {where}") from None
        assert "Traceback" not in stderr, stderr
        return Outcome(process.returncode, json.loads(stdout) if stdout else {}, stderr)


def _where(pid: int) -> str:
    """Return where a process is in the kernel, and what the kernel said last."""
    files = (f"/proc/{pid}/{name}" for name in ("wchan", "syscall", "stack"))
    return "\n".join((*(Path(file).read_text() for file in files), run("dmesg")[-3000:]))

# SPDX-License-Identifier: Apache-2.0
"""A plugin as a runtime executes it: environment and stdin in, exit status and one document out."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Document = dict[str, Any]
Found = TypeVar("Found")

DEBIANS = "/usr/lib/cni"  # containernetworking-plugins, of which the newest version known is 1.0.0


class Outcome(NamedTuple):
    """How a call ended; `document` is what stdout held, empty if nothing."""

    status: int
    document: Document
    stderr: str

    @property
    def code(self) -> int:
        """The CNI error code, 0 for success."""
        return int(self.document.get("code", 0)) if self.status else 0

    @property
    def said(self) -> str:
        """The whole error message."""
        return f"{self.document.get('msg')}: {self.document.get('details')}"


class Plugin:
    """An executable and, in front of it, what takes the call to the place it runs in."""

    def __init__(self, *command: str) -> None:
        self._command = command

    def within(self, *command: str) -> "Plugin":
        """Return the same plugin, executed by another program that is given here."""
        return Plugin(*command, *self._command)

    def start(
        self,
        command: str,
        config: Document,
        *,
        container: str = "pod",
        ifname: str = "net1",
        netns: str = "",
        args: str = "",
        path: str = "/opt/cni/bin",
    ) -> "Running":
        """Start a call without waiting for its end."""
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_IFNAME": ifname,
            "CNI_NETNS": netns,
            "CNI_ARGS": args,
            "CNI_PATH": path,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
        }
        process = subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(config))
        process.stdin.close()
        process.stdin = None
        return Running(process)

    def __call__(self, command: str, config: Document, **attachment: str) -> Outcome:
        """Execute a call and return how it ended."""
        return self.start(command, config, **attachment).outcome()


class Running(NamedTuple):
    """A call under way."""

    process: "subprocess.Popen[str]"

    def outcome(self) -> Outcome:
        """Wait for the end; stdout holds one JSON document or nothing, never a traceback."""
        stdout, stderr = self.process.communicate(timeout=120)
        assert "Traceback" not in stdout + stderr, stdout + stderr
        assert stdout.count("\n") <= 1, f"more than one document: {stdout}"
        document = json.loads(stdout) if stdout else {}
        assert isinstance(document, dict)
        assert (self.process.returncode != 0) == ("code" in document), stdout
        return Outcome(self.process.returncode, document, stderr)


def processes_of(container: str) -> list[str]:
    """Return the processes that serve, or go on after, a container's call."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if f"CNI_CONTAINERID={container}\0".encode() in file.read():
                    found.append(pid)
        except OSError:
            continue
    return found


def run(*command: str, check: bool = True) -> str:
    """Run a command, return its output; fail the test with its words if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert not check or result.returncode == 0, f"{command}: {result.stderr or result.stdout}"
    return result.stdout


def run_json(*command: str) -> Any:
    """Run a command that prints JSON and return it; `ip -j` prints nothing for an empty list."""
    return json.loads(run(*command) or "[]")


def outcomes(running: Sequence[Running]) -> list[Outcome]:
    """Wait for several calls under way."""
    return [call.outcome() for call in running]


def wait_for(look: Callable[[], Found], patience: float = 10) -> Found:
    """Return what `look` finds as soon as it is something; fail the test after `patience` s."""
    deadline = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < deadline, "what the test waits for does not happen"
        time.sleep(0.02)
    return found


def write_plugin(directory: Path, script: str) -> str:
    """Make a shell script the plugin `written`, which notes its calls; return its CNI_PATH."""
    plugin = directory / "written"
    plugin.write_text(f"#!/bin/sh\ncd {directory}\necho $CNI_COMMAND >>calls\n{script}\n")
    plugin.chmod(0o755)
    return str(directory)

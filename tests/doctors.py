# SPDX-License-Identifier: Apache-2.0
"""`sriovctl doctor`, called on this machine or on one that a prefix of the command leads to."""

import json
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """What doctor has found."""

    check: str
    problem: str
    remedy: str


class Doctor:
    """The tool; `directory` has the node's files, the device plugin's and kubelet's."""

    def __init__(self, command: Sequence[str], directory: Path, within: Sequence[str] = ()) -> None:
        self.directory = directory
        self.within = within
        self._command = [*command, "--config-dir", str(directory)]
        self._command += ["--config-file", str(directory / "config.json")]
        self._command += ["--kubelet-dir", str(directory / "kubelet")]
        self._resources: list[dict[str, Any]] = []
        self._functions: list[dict[str, Any]] = []
        self._write()

    def want(self, *functions: dict[str, Any]) -> None:
        """Have the node's file want this of PFs."""
        self._functions = list(functions)
        self._write()

    def serve(self, *resources: dict[str, Any]) -> None:
        """Have the node's file have these resources."""
        self._resources = list(resources)
        self._write()

    def call(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Call the tool; it never prints a traceback, nor waits for an answer."""
        command = [*self.within, *self._command, *arguments]
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
        )
        assert "Traceback" not in ended.stdout + ended.stderr, ended.stderr
        return ended

    def finds(self, *checks: str) -> list[Finding]:
        """Return what the checks find, all of them if none is named."""
        ended = self.call("doctor", *checks, "-o", "json")
        assert ended.stdout, ended.stderr
        found = [Finding(**each) for each in json.loads(ended.stdout)]
        assert ended.returncode == bool(found)
        return found

    def carry_out(self, remedy: str) -> None:
        """Run a remedy in a shell, in which `sriovctl` is the tool."""
        function = f'sriovctl() {{ {shlex.join(self._command)} "$@"; }}; {remedy}'
        command = [*self.within, "bash", "-ec", function]
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
        )
        assert ended.returncode == 0, (remedy, ended.stdout, ended.stderr)

    def _write(self) -> None:
        document = {"functions": self._functions, "resources": self._resources}
        (self.directory / "node.json").write_text(json.dumps(document))

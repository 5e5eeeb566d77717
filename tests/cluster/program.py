# SPDX-License-Identifier: Apache-2.0
"""A program that runs as long as the node does, unless a test kills it and starts it anew."""

import os
import signal
import subprocess
from pathlib import Path

from tests.plugin import wait_for


class Program:
    """A process known by a file with its number, so that whoever comes later finds it, too."""

    def __init__(self, directory: Path, *command: str, environment: dict[str, str]) -> None:
        """Keep log and number in a directory; the environment is added to what there is already."""
        self.name = command[0]
        self.log = directory / f"{self.name}.log"
        self._number = directory / f"{self.name}.pid"
        self._command = command
        self._environment = environment

    def start(self) -> None:
        """Start it, or start it anew."""
        assert not self.runs(), f"{self.name} runs already"
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self._environment,
                start_new_session=True,
            )
        self._number.write_text(str(process.pid), encoding="ascii")

    def runs(self) -> bool:
        """Say whether it runs."""
        return self._status().get("State", "Z")[0] not in "ZX"

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal and wait for its end."""
        if self.runs():
            os.kill(int(self._number.read_text(encoding="ascii")), by)
            wait_for(lambda: not self.runs(), 60)

    def memory(self) -> int:
        """Return the MiB of memory that are its own, 0 if it does not run."""
        return int(self._status().get("VmRSS", "0").split()[0]) // 1024

    def _status(self) -> dict[str, str]:
        try:
            process = self._number.read_text(encoding="ascii")
            status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        except OSError:
            return {}
        fields = (line.partition(":") for line in status.splitlines())
        return {name: value.strip() for name, _, value in fields}

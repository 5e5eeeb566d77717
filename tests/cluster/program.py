# SPDX-License-Identifier: Apache-2.0
"""A program that runs as long as the node does, unless a test kills it and starts it anew."""

import os
import signal
import subprocess
from pathlib import Path

from tests.plugin import wait_for


class Program:
    """A process known by a file with its number, so that whoever comes later finds it, too."""

    def __init__(self, directory: Path, *command: str) -> None:
        """Keep log and number in a directory."""
        self.name = os.path.basename(command[0])
        self.log = directory / f"{self.name}.log"
        self._number = directory / f"{self.name}.pid"
        self._command = command

    def start(self) -> None:
        """Start it, or start it anew."""
        assert not self.runs(), f"{self.name} runs already"
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._number.write_text(str(process.pid), encoding="ascii")

    def runs(self) -> bool:
        """Say whether it runs."""
        try:
            process = self._number.read_text(encoding="ascii")
            status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        except OSError:
            return False
        return status.partition("State:\t")[2][0] not in "ZX"  # nobody may wait for it

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal and wait for its end."""
        if self.runs():
            os.kill(int(self._number.read_text(encoding="ascii")), by)
            wait_for(lambda: not self.runs(), 60)

# SPDX-License-Identifier: Apache-2.0
"""Telling whoever started the agent that it serves: systemd by its socket, a container by a file.

A file tells of this process alone. At the address of metrics and probes another agent may answer,
which is about to be replaced by this one.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress

_PERIOD = 0.5  # seconds
_log = logging.getLogger(__name__)


def tell_systemd() -> None:
    """Tell systemd, if it waits for this process (sd_notify(3)); once is enough."""
    if path := os.environ.pop("NOTIFY_SOCKET", ""):
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(path.replace("@", "\0", 1) if path.startswith("@") else path)
            sock.send(b"READY=1")


async def make_file(path: str, is_ready: Callable[[], bool]) -> None:
    """Make a file as soon as `is_ready`; one that is there already goes."""
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        while not is_ready():
            await asyncio.sleep(_PERIOD)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        _log.error("%s does not tell that this agent is ready: %s", path, error)

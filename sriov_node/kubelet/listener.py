# SPDX-License-Identifier: Apache-2.0
"""A socket in one of kubelet's directories.

It gets its name by a renaming: at every moment, somebody who serves is behind the name.
"""

import asyncio
import os
import socket
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from grpclib.server import Server

from sriov_node.kubelet.paths import is_socket_name, require_short

if TYPE_CHECKING:
    from grpclib._typing import IServable

_BACKLOG = 100


class Listener:
    """Services at a path. Raises ValueError if the path is too long for a socket."""

    def __init__(self, path: str, services: "Collection[IServable]") -> None:
        require_short(path)
        self.path = path
        self._services = services
        self._server: Server | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def in_place(self) -> bool:
        """Whether our own socket has the path."""
        return self._identity is not None and _identity(self.path) == self._identity

    async def place(self) -> None:
        """Put a socket at the path and serve there; connections made before go on.

        Raises OSError where that cannot be.
        """
        directory, name = os.path.split(self.path)
        temporary = f"{directory}/.{name.removesuffix('.sock')}"  # hidden: kubelet passes over it
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # of a killed process
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listening.bind(temporary)
            os.chmod(temporary, 0o600)
            listening.listen(_BACKLOG)
            identity = _identity(temporary)
            os.rename(temporary, self.path)
        except OSError:
            listening.close()
            raise
        before = self._server
        self._server, self._identity = Server(self._services), identity
        await self._server.start(sock=listening, backlog=_BACKLOG)
        if before is not None:
            await _stop_listening(before)

    async def close(self) -> None:
        """End serving, and take the socket away."""
        if self.in_place:
            os.unlink(self.path)
        if self._server is not None:
            self._server.close()
            await asyncio.sleep(0)  # calls end; connections, once their callers close them
        self._server = self._identity = None


def clear(directory: str) -> None:
    """Remove the sockets of agents that were killed: at those nobody listens."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if is_socket_name(entry.name) and _is_abandoned(entry.path):
                os.unlink(entry.path)


def _is_abandoned(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as calling:
        calling.setblocking(False)
        try:
            calling.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:  # a queue that is full, or no socket at all
            return False
    return False


async def _stop_listening(server: Server) -> None:
    """Accept no more connections, but serve those that there are, and who has just come."""
    for _ in range(4):  # turns of the loop, until it has accepted who came before the renaming
        await asyncio.sleep(0)
    # Server.close() would end calls that are being served as well: kubelet's own streams
    if server._server is not None:
        server._server.close()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino

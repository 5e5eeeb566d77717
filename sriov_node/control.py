# SPDX-License-Identifier: Apache-2.0
"""The agent's socket for its operator: `rescan` and `reload`, answered when they are done.

One word per connection, and one line of JSON for an answer. Only root may connect. The agent that
starts last has the path, as with kubelet's sockets.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

SOCKET = "/run/sriov/agent.sock"
RESCAN, RELOAD = "rescan", "reload"
_LONGEST = 64  # bytes of a request
_PATIENCE = 10.0  # seconds for a request to come
_log = logging.getLogger(__name__)

Answer = Callable[[], Awaitable[Mapping[str, Any]]]


@asynccontextmanager
async def serving(path: str, answers: Mapping[str, Answer]) -> AsyncIterator[None]:
    """Answer requests for the length of a with-statement; without a socket, say so and go on."""
    try:
        server = await _listen(path, answers)
    except OSError as error:
        _log.error("%s cannot be made, so sriovctl cannot ask this agent: %s", path, error)
        yield
        return
    inode = os.stat(path).st_ino
    try:
        yield
    finally:
        server.close()
        with suppress(OSError):
            if os.stat(path).st_ino == inode:  # otherwise it is a successor's
                os.unlink(path)


async def _listen(path: str, answers: Mapping[str, Answer]) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_PATIENCE):
                asked = (await reader.readuntil(b"\n"))[:_LONGEST].decode(errors="replace").strip()
            answer = answers.get(asked)
            said = await answer() if answer is not None else {"error": f"no request {asked!r:.40}"}
            writer.write(json.dumps(said).encode() + b"\n")
            await writer.drain()
        writer.close()

    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(serve, temporary, limit=_LONGEST * 2)
    finally:
        os.umask(before)
    os.rename(temporary, path)  # whoever had it is not reached any more
    return server

# SPDX-License-Identifier: Apache-2.0
"""The log: lines for operators on stderr, or in the file that the configuration names.

A plugin that succeeds is silent; the log has events that deserve attention.
"""

import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

LEVELS = ("panic", "error", "warning", "info", "debug", "verbose")  # the Go plugin's
_level, _path = "info", ""


def configure(level: str, path: str | None) -> None:
    """Set the level (one of LEVELS) and the file (default stderr)."""
    global _level, _path  # one process serves one call, so there is one log
    _level, _path = level, path or ""


def write(level: str, text: str) -> None:
    """Write one line; what would make it two, or steer a terminal, is escaped."""
    if LEVELS.index(level) > LEVELS.index(_level):
        return
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f"{stamp} {level} {os.path.basename(sys.argv[0])}[{os.getpid()}]: {clean}\n"
    data = line.encode(errors="backslashreplace")
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        # O_NONBLOCK: the plugin must not wait for a reader of a FIFO
        fd = os.open(_path, flags | os.O_NONBLOCK, 0o600)
    except OSError:
        fd = 2  # no file configured, or none that can be written
    with suppress(OSError):  # there is no other place to report it
        os.write(fd, data)
    if fd != 2:
        os.close(fd)


def write_all(level: str, texts: Iterable[str]) -> None:
    """Write a line for each text."""
    for text in texts:
        write(level, text)

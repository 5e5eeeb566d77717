# SPDX-License-Identifier: Apache-2.0
"""The log: lines for operators on stderr, or in the file that the configuration names.

A line is one write to a file that is opened for it. So lines of many processes do not mix, and
logrotate may rename or empty the file at any time.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from sriov_cni.cni import document
from sriov_cni.cni.document import Fields

LEVELS = ("panic", "error", "warning", "info", "debug", "verbose")  # the Go plugin's
FORMATS = ("text", "json")
_BARE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-"
_OPERATION = "command="  # what an operation's line begins with, and no other
_level, _path, _format = "info", "", "text"

Value = str | int
_function: dict[str, Value] = {}


def configure(level: str, path: str | None, format_: str = "text") -> None:
    """Set the level (one of LEVELS), the file (default stderr) and the format (one of FORMATS)."""
    global _level, _path, _format  # one process serves one call, so there is one log
    _level, _path, _format = level, path or "", format_


def configure_as(fields: Fields) -> None:
    """Set the log up as a network's `logFile`, `logLevel` and `logFormat` say.

    Raises CniError (7) for a wrong one, after those before it are in force.
    """
    path = fields.path("logFile")
    configure("info", path)
    level = _choice(fields, "logLevel", LEVELS) or "info"
    configure(level, path)
    configure(level, path, _choice(fields, "logFormat", FORMATS) or "text")


def _choice(fields: Fields, key: str, choices: tuple[str, ...]) -> str:
    value = (fields.text(key) or "").lower()
    if value and value not in choices:
        raise fields.error_for(key, f"one of {', '.join(choices)}")
    return value


def has(level: str) -> bool:
    """Tell whether lines of this level go to the log."""
    return LEVELS.index(level) <= LEVELS.index(_level)


def has_operations() -> bool:
    """Tell whether each operation has its line in the log.

    Without a file it has not, unless at `debug`: a plugin that succeeds is silent on stderr, and
    what one that fails has to say is on stdout.
    """
    return bool(_path) or has("debug")


def note(pf: str, vf: int | None, pci: str) -> None:
    """Note which VF the operation is about, or with `vf` None which PF; `pci` is its address."""
    _function.update({"pf": pf, "vf": "" if vf is None else vf, "pci": pci})


def noted() -> Mapping[str, Value]:
    """Return what was noted, under the keys that the operation's line has for it."""
    return _function


def write(level: str, text: str) -> None:
    """Write one line; what would make it two, or steer a terminal, is escaped."""
    if has(level):
        shown = f"msg={json.dumps(text)}" if text.startswith(_OPERATION) else text
        _append(_line(level, shown, {"msg": text}))


def write_all(level: str, texts: Iterable[str]) -> None:
    """Write a line for each text."""
    for text in texts:
        write(level, text)


def write_values(level: str, values: Mapping[str, Value]) -> None:
    """Write one line of `key=value`; what is more than a word of ASCII is a JSON string."""
    if has(level):
        shown = " ".join(f"{key}={_shown(str(value))}" for key, value in values.items())
        _append(_line(level, shown, values))


def _shown(value: str) -> str:
    return value if value and not value.strip(_BARE) else json.dumps(value)


def _line(level: str, text: str, values: Mapping[str, Value]) -> bytes:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    plugin, pid = os.path.basename(sys.argv[0]), os.getpid()
    if _format == "json":
        head = {"time": stamp, "level": level, "plugin": plugin, "pid": pid}
        return document.encode({**head, **values}) + b"\n"
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"{stamp} {level} {plugin}[{pid}]: {clean}\n".encode(errors="backslashreplace")


def _append(line: bytes) -> None:
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        # O_NONBLOCK: the plugin must not wait for a reader of a FIFO
        fd = os.open(_path, flags | os.O_NONBLOCK, 0o600)
    except OSError:
        fd = 2  # no file configured, or none that can be written
    with suppress(OSError):  # there is no other place to report it
        os.write(fd, line)
    if fd != 2:
        os.close(fd)

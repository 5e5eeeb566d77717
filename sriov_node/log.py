# SPDX-License-Identifier: Apache-2.0
"""The log of a program that lives long: a line per event on standard error, as text or as JSON.

Text and keys are as in the plugin's log (sriov_cni/cni/log.py), which is built for a program that
ends at once.
"""

import json
import logging
import os
import sys
import time

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")


def begin(program: str, level: str, form: str) -> None:
    """Write what is at least of a level (one of LEVELS), in one of FORMATS."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((_Json if form == "json" else _Text)(program))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    # Their lines are about single connections and frames; what follows from these is said here.
    for library in ("asyncio", "grpclib", "hpack"):
        logging.getLogger(library).setLevel(logging.CRITICAL)


class _Text(logging.Formatter):
    """Stamp, level, program and message; a message is one line, whatever it quotes."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._head = f"{program}[{os.getpid()}]"

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}: {self.formatException(record.exc_info)}"
        clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        level = record.levelname.lower()
        return f"{_stamp(record)} {level} {self._head}: {clean}"


class _Json(logging.Formatter):
    """One object per line."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        entry = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "program": self._program,
            "pid": os.getpid(),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _stamp(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

# SPDX-License-Identifier: Apache-2.0
"""Which processes have files of a directory open (proc(5))."""

import os
from collections.abc import Iterator
from contextlib import suppress

_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO in include/linux/proc_ns.h


def sees_all() -> bool:
    """Tell whether this process sees all of the machine's processes."""
    try:
        return os.readlink("/proc/self/ns/pid") == _INITIAL_PID_NAMESPACE
    except OSError:
        return False


class HiddenError(Exception):
    """Some process does not show what it has open to this one."""


def having_open(directory: str) -> dict[str, str]:
    """Return the files below a directory that processes have open, each with one of them in words.

    A process that ends meanwhile has nothing open. Raises HiddenError: without CAP_SYS_PTRACE, or
    where /proc is mounted with hidepid.
    """
    found: dict[str, str] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for path in open_files(pid):
            if path.startswith(f"{directory}/"):
                found[path] = f"process {pid} ({_command(pid)})"
    return found


def open_files(pid: str) -> Iterator[str]:
    """Yield the paths of a process's files; one that is closed meanwhile hides no other.

    Raises HiddenError.
    """
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                yield os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except PermissionError:
        raise HiddenError(f"process {pid}") from None
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return


def _command(pid: str) -> str:
    with suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return "?"

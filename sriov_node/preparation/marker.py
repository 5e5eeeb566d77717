# SPDX-License-Identifier: Apache-2.0
"""Which PFs are being prepared: a locked file for each, which a process that dies lets go of.

A file that nobody has locked means nothing.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

DIRECTORY = "/run/sriov/preparing"
_PATIENCE = 1.0  # seconds; who only looks has a file locked for a moment, too


class BusyError(Exception):
    """Another process prepares a PF, or its file cannot be made."""


def held(directory: str = DIRECTORY) -> frozenset[str]:
    """Return the addresses of the PFs that some process prepares now."""
    try:
        names = os.listdir(directory)
    except OSError:
        return frozenset()
    return frozenset(name for name in names if _is_held(f"{directory}/{name}"))


@contextmanager
def holding(directory: str, pf: str) -> Iterator[None]:
    """Tell others that a PF is being prepared; raise BusyError if another process does that."""
    path = f"{directory}/{pf}"
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        fd = _locked(path)
    except OSError as error:
        raise BusyError(f"{path} cannot be used: {error.strerror}") from None
    if fd is None:
        raise BusyError(f"{pf} is being prepared by another process: {path} is locked")
    try:
        with suppress(OSError):
            # whoever watches the directory has heard of the file before it was locked
            os.close(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        yield
    finally:
        with suppress(OSError):  # an empty file that nobody locks means nothing
            os.unlink(path)
        os.close(fd)


def _locked(path: str) -> int | None:
    """Open and lock a file; None if another process has it."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, fd):
                return fd
        os.close(fd)  # somebody has it, or removed it meanwhile: then there is another by now
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)


def _is_held(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def _is_still(path: str, fd: int) -> bool:
    try:
        there, ours = os.stat(path, follow_symlinks=False), os.fstat(fd)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

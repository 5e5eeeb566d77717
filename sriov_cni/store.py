# SPDX-License-Identifier: Apache-2.0
"""Durable state: a private directory of small files, and advisory locks that die with a process.

Knows nothing of CNI or SR-IOV; attachment records and fixipam's leases are both kept with it. All
access goes through a descriptor of the directory, so a symbolic link put in a file's place is
never followed.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_TEMPORARY = ".new-"


class Directory:
    """A directory of mode 0700 whose files (0600) appear and disappear whole.

    All methods raise OSError as the system calls do.
    """

    def __init__(self, path: str, *, create: bool) -> None:
        """Open the directory; `create`: make it and its parents where they are missing."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(path, flags)
        except FileNotFoundError:
            if not create:
                raise
            _make(path)
            self._fd = os.open(path, flags)

    def names(self) -> list[str]:
        """Return the names of all files, temporary ones left by a killed process excepted."""
        return [name for name in os.listdir(self._fd) if not name.startswith(_TEMPORARY)]

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        with open(fd, "rb") as file:
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """Put a file in place, durable when this returns: temporary name, sync, rename, sync."""
        temporary = f"{_TEMPORARY}{name}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(temporary, flags, 0o600, dir_fd=self._fd)
            with open(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(fd)
            self.rename(temporary, name)
        except OSError:
            self.remove(temporary)
            raise

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, durably."""
        os.rename(old, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        os.fsync(self._fd)

    def remove(self, name: str) -> None:
        """Remove a file; a missing one is no error."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the whole directory against other processes, waiting as long as it takes.

        Meant for sections of microseconds: whoever holds it waits for nothing.
        """
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)


def _make(path: str) -> None:
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        _make(parent)
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)


class LockFile:
    """Many locks in one file: one byte each, so that no lock leaves a file behind.

    POSIX record locks (fcntl(2), F_SETLK): a process loses them when it ends, however it ends, and
    does not hand them to its children.
    """

    def __init__(self, path: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)

    def acquire(self, offset: int, patience: float) -> bool:
        """Take the lock of one byte, waiting up to `patience` seconds; tell whether it was got."""
        deadline = time.monotonic() + patience
        pause = 0.001
        while not self._try(offset):
            if time.monotonic() + pause > deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def release(self, offset: int) -> None:
        """Give the lock of one byte back."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, offset)

    def _try(self, offset: int) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except (BlockingIOError, PermissionError):
            return False
        return True

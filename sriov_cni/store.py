# SPDX-License-Identifier: Apache-2.0
"""Durable state: a private directory of small files, and advisory locks that die with a process.

Knows nothing of CNI or SR-IOV; attachment records and fixipam's leases are both kept with it. All
access goes through a descriptor of the directory, so a symbolic link put in a file's place is
never followed. Only regular files count, whatever else has a fitting name.
"""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_TEMPORARY = ".new-"


class Directory:
    """A directory of mode 0700 whose files (0600) appear and disappear whole.

    All methods raise OSError as the system calls do.
    """

    def __init__(self, path: str, *, create: bool, within: int | None = None) -> None:
        """Open the directory; `create`: make it and its parents where they are missing.

        `within` is a descriptor of the directory that a relative path starts from.
        """
        path = path.rstrip("/") or "/"  # a slash at the end makes the kernel follow a link
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(path, flags, dir_fd=within)
        except FileNotFoundError:
            if not create:
                raise
            _make(path, within)
            self._fd = os.open(path, flags, dir_fd=within)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):  # it was opened
            os.close(self._fd)

    def subdirectory(self, name: str, *, create: bool) -> "Directory":
        """Open a directory in this one, made where it is missing if `create`."""
        return Directory(name, create=create, within=self._fd)

    def require_writable(self) -> None:
        """Raise OSError unless files can be made here; none is made to find out."""
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=self._fd):
            read_only = os.fstatvfs(self._fd).f_flag & os.ST_RDONLY
            number = errno.EROFS if read_only else errno.EACCES
            raise OSError(number, os.strerror(number))

    def names(self) -> list[str]:
        """Return the names of all files, temporary ones left by a killed process excepted."""
        return [name for name in self._files() if not name.startswith(_TEMPORARY)]

    def unfinished(self) -> list[str]:
        """Return the names of the files that are being written, or whose writer was killed."""
        return [
            name.removeprefix(_TEMPORARY) for name in self._files() if name.startswith(_TEMPORARY)
        ]

    def _files(self) -> list[str]:
        with os.scandir(self._fd) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]

    def versions(self) -> dict[str, tuple[int, int]]:
        """Return the names of all files as `names` does, with what changes when a file does.

        That is its inode's number and the time of its last change: write() makes a new file.
        """
        found = {}
        for name in self.names():
            with suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
                found[name] = (status.st_ino, status.st_mtime_ns)
        return found

    def discard(self, name: str) -> None:
        """Remove the unfinished file of a killed writer; a missing one is no error."""
        self.remove(f"{_TEMPORARY}{name}")

    def read(self, name: str, most: int = -1) -> bytes:
        """Return a file's content, at most so many bytes of it unless `most` is negative."""
        # O_NONBLOCK: opening a FIFO somebody put there must not wait for a writer
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=self._fd)
        with open(fd, "rb") as file:
            return file.read(most) or b""

    def modified(self, name: str) -> float:
        """Return when a file was last written, in seconds since the epoch."""
        return os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mtime

    def write(self, name: str, content: bytes) -> None:
        """Put a file in place, durable when this returns: temporary name, sync, rename, sync."""
        temporary = f"{_TEMPORARY}{name}"
        # always a new file: one that is there may be a FIFO, or have other names and readers
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.discard(name)
        try:
            fd = os.open(temporary, flags, 0o600, dir_fd=self._fd)
            with open(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(fd)
            self.rename(temporary, name)
        except OSError:
            self.discard(name)
            raise

    def append(self, name: str, content: bytes, most: int) -> None:
        """Add to a file that is there, unless it would get longer than `most` bytes.

        Neither durable nor whole if the process is killed: for what may get lost.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=self._fd)
        try:
            status = os.fstat(fd)
            # with another name it may be anybody's file
            ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            if ours and status.st_size + len(content) <= most:
                os.write(fd, content)
        finally:
            os.close(fd)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, durably."""
        os.rename(old, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        os.fsync(self._fd)

    def remove(self, name: str) -> None:
        """Remove a file; a missing one is no error."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    @contextmanager
    def locked(self, patience: float) -> Iterator[None]:
        """Hold the whole directory against others, waiting for up to `patience` seconds.

        Raises TimeoutError after that.
        """
        # A descriptor of its own: closing it gives the lock back, which cannot fail.
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            if not _acquired(lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB), patience):
                raise TimeoutError(errno.ETIMEDOUT, f"locked by others for {patience:.0f} s")
            yield
        finally:
            os.close(fd)


def _make(path: str, within: int | None) -> None:
    missing = [path]  # not by recursion: a path may have more levels than the stack
    while (parent := os.path.dirname(missing[-1])) and not os.path.isdir(parent):
        missing.append(parent)
    for directory in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(directory, 0o700, dir_fd=within)


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
        kind = fcntl.LOCK_EX | fcntl.LOCK_NB
        return _acquired(lambda: fcntl.lockf(self._fd, kind, 1, offset), patience)

    def is_held(self, offset: int) -> bool:
        """Tell whether another process has the lock of one byte, without taking it."""
        from struct import pack, unpack_from  # no operation of the plugins asks

        asked = pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)  # struct flock
        answer = fcntl.fcntl(self._fd, fcntl.F_GETLK, asked)
        return bool(unpack_from("h", answer)[0] != fcntl.F_UNLCK)

    def release(self, offset: int) -> None:
        """Give the lock of one byte back."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, offset)


def _acquired(attempt: Callable[[], object], patience: float) -> bool:
    """Attempt to lock until it works; tell whether it did within `patience` seconds."""
    deadline = time.monotonic() + patience
    pause = 0.001
    while True:
        with suppress(BlockingIOError, PermissionError):  # what fcntl(2) says of a lock held
            attempt()
            return True
        if time.monotonic() + pause > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.05)

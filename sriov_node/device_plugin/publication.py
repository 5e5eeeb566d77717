# SPDX-License-Identifier: Apache-2.0
"""Small files that other programs read: each appears whole, for everybody to read, and goes again.

They describe the present boot in a directory that does not outlive it, so nothing is synchronized.
"""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress


class Publication:
    """The files that one resource has in a directory, by their names.

    Names must be free of slashes. All methods raise OSError as the system calls do.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._published: dict[str, bytes] = {}

    def update(self, files: Mapping[str, bytes]) -> None:
        """Have these files in the directory: write what differs, remove what is not among them."""
        for name in [name for name in self._published if name not in files]:
            self.withdraw(name)
        for name, content in files.items():
            if self._published.get(name) != content:
                self.put(name, content)

    def put(self, name: str, content: bytes) -> None:
        """Write one file anew, whatever has become of it meanwhile."""
        publish(self._directory, name, content)
        self._published[name] = content

    def withdraw(self, name: str) -> None:
        """Remove one file; a missing one is no error."""
        with suppress(FileNotFoundError):
            os.unlink(f"{self._directory}/{name}")
        self._published.pop(name, None)


def publish(directory: str, name: str, content: bytes) -> None:
    """Put a file in a directory, which is made where it is missing, in place of any before it."""
    temporary = f"{directory}/.new-{name}"  # hidden: readers pass over it
    fd = _created(temporary)
    try:  # there may be a thousand of these: no call too many
        try:
            os.fchmod(fd, 0o444)  # whatever the umask
            if os.write(fd, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(fd)
        os.rename(temporary, f"{directory}/{name}")
    except OSError:
        os.unlink(temporary)
        raise


def _created(path: str) -> int:
    """Return the descriptor of a new file."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o444)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    except FileExistsError:
        os.unlink(path)  # of a killed writer
    return os.open(path, flags, 0o444)

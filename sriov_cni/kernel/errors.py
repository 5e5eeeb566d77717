# SPDX-License-Identifier: Apache-2.0
"""What became of a request: its refusal is the one exception of this floor.

A change is told to whoever listens: the log, at its level debug.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], object]] = []  # none or one


class KernelError(Exception):
    """The kernel or a driver refused a request.

    `errno` is its number (errno.h), `doing` what was asked for, `said` the driver's own words where
    it gave any (extended acknowledgement).
    """

    def __init__(self, number: int, doing: str, said: str = "") -> None:
        super().__init__(number, doing, said)
        self.errno = number
        self.doing = doing
        self.said = said

    def __str__(self) -> str:
        name = errno.errorcode.get(self.errno, str(self.errno))
        said = f", kernel says: {self.said}" if self.said else ""
        return f"{self.doing}: {os.strerror(self.errno)} ({name}){said}"


@contextmanager
def as_kernel_errors(doing: str) -> Iterator[None]:
    """Turn the OSErrors of a with-statement into KernelErrors that say what was being done."""
    try:
        yield
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, doing) from None


def listen_to_changes(listener: Callable[[str], object]) -> None:
    """Have a function called with a phrase for each change from now on, in place of any other."""
    _listeners[:] = [listener]


@contextmanager
def as_change(doing: str) -> Iterator[None]:
    """Tell of the change that a with-statement makes; `doing` names it, its device and the value.

    If it is refused, the reason follows. OSErrors become KernelErrors.
    """
    try:
        with as_kernel_errors(doing):
            yield
    except KernelError as refusal:
        _tell(str(refusal))
        raise
    _tell(doing)


def _tell(text: str) -> None:
    for listener in _listeners:
        listener(text)

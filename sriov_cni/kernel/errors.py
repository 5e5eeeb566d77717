# SPDX-License-Identifier: Apache-2.0
"""The one exception of this floor: the kernel or a driver refused a request."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


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

# SPDX-License-Identifier: Apache-2.0
"""Sockets, functions and constants as they are in C, where the real module makes enumerations.

Left out: makefile(), timeouts, and everything else that the real module adds.
"""

import _socket
from typing import Any

AddressFamily = int


class socket(_socket.socket):  # noqa: N801 - its name
    """A socket, for with-statements, too."""

    def __enter__(self) -> "socket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def __getattr__(name: str) -> Any:
    return getattr(_socket, name)

# SPDX-License-Identifier: Apache-2.0
"""A logger that writes nothing: pyroute2 logs what it cannot decode.

This project's own log does not use it.
"""


def error(*_: object, **__: object) -> None:
    """Write nothing."""


warning = error


def getLogger(*_: object) -> object:  # noqa: N802 - its name
    """Return what has the functions of this module."""
    return _Logger


class _Logger:
    error = warning = staticmethod(error)

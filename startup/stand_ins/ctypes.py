# SPDX-License-Identifier: Apache-2.0
"""Calling a function of libc: setns(), which `os` has since Python 3.12 only.

The real module makes a class for every type of C. Left out: all but functions of integers that
return one.
"""

import _ctypes
from _ctypes import get_errno as get_errno
from typing import Any


class _Integer(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class CDLL:
    """A library, and errno for functions of it."""

    def __init__(self, name: Any, use_errno: bool) -> None:
        class Function(_ctypes.CFuncPtr):
            _flags_ = _ctypes.FUNCFLAG_CDECL | (_ctypes.FUNCFLAG_USE_ERRNO if use_errno else 0)
            _restype_ = _Integer

        self._handle = _ctypes.dlopen(name, 0)
        self._function: Any = Function

    def __getattr__(self, name: str) -> Any:
        return self._function((name, self))

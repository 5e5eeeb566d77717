# SPDX-License-Identifier: Apache-2.0
"""Finds the modules of a short-lived executable: its first script (build.spec, docs/start-up.md).

A CNI plugin lives for some tens of milliseconds, most of which would go into starting Python. So
all modules are in one file, stand-ins for some of the standard library's among them, and nothing
is tidied up at the end. Programs run from source never see any of this.
"""

import gc
import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec  # importlib.machinery's, whose import takes a millisecond
from _imp import create_dynamic, exec_dynamic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# The process ends before its garbage is worth collecting; its end frees everything at once, and no
# output waits in a buffer.
gc.disable()
sys.exit = posix._exit  # type: ignore[assignment]

_HOME: str = sys._MEIPASS  # type: ignore[attr-defined]  # set by PyInstaller


def _read(file: str, size: int, place: int = 0) -> bytes:
    # never kept open: a child process closes whatever it does not know
    opened = posix.open(f"{_HOME}/{file}", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.pread(opened, size, place)
    finally:
        posix.close(opened)


_STAND_INS, _MODULES = marshal.loads(_read("index", 1 << 20))  # startup/archive.py


class _Code:
    """Loads a module of the file `modules`."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leave that to Python."""

    @staticmethod
    def exec_module(module: "ModuleType") -> None:
        """Execute the module's code."""
        name = module.__name__
        _, place, size = _STAND_INS.get(name) or _MODULES[name]
        if name in _STAND_INS:

            def missing(attribute: str) -> "Any":
                if attribute.startswith("__"):
                    raise AttributeError(attribute)
                return getattr(real(name), attribute)

            module.__getattr__ = missing  # type: ignore[method-assign]
        if size:
            exec(marshal.loads(_read("modules", size, place)), vars(module))


class _Extension:
    """Loads a module in C."""

    create_module = staticmethod(create_dynamic)
    exec_module = staticmethod(exec_dynamic)


_CODE: "Any" = _Code
_EXTENSION: "Any" = _Extension


class Finder:
    """Finds what the index has: a stand-in first."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Say how to load a module, if it is one of these."""
        entry = _STAND_INS.get(name) or _MODULES.get(name)
        if entry is None:
            return None
        is_package, place, _ = entry
        if is_package is None:
            return ModuleSpec(name, _EXTENSION, origin=f"{_HOME}/{place}")
        return ModuleSpec(name, _CODE, is_package=is_package)


def real(name: str) -> "ModuleType":
    """Return the module that a stand-in stands for, which takes its place."""
    if _STAND_INS.pop(name, None):
        del sys.modules[name]
    __import__(name)
    module = sys.modules[name]
    for known in [known for known in sys.modules if known.startswith(f"{name}.")]:
        setattr(module, known.removeprefix(f"{name}."), sys.modules[known])
    return module


sys.meta_path.insert(0, Finder)
sys.frozen = True  # type: ignore[attr-defined]  # as PyInstaller's own start-up says it

# SPDX-License-Identifier: Apache-2.0
"""Start-up of the frozen executables: what has to happen before their first import.

build.spec runs this as PyInstaller's run-time hook; programs run from source never see it. The
executables use pyroute2 to encode and decode messages and netaddr to calculate; what these import
for other purposes is replaced here by as much as is touched. Gains: whole process, this project's
reference machine.
"""

import sys

_Module = type(sys)


def _provide(name: str, **attributes: object) -> None:
    module = _Module(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def _nothing(*_: object, **__: object) -> str:
    return ""


# The packages' own __init__ modules import everything they have (300 and 60 ms). A package object
# with a path is enough to find their modules.
for _name in ("pyroute2", "netaddr"):
    _provide(_name, __path__=[f"{sys._MEIPASS}/{_name}"])  # type: ignore[attr-defined]

# Settings of pyroute2's sockets, which imports multiprocessing and platform (10 ms).
_provide("pyroute2.config", AF_BRIDGE=7, data_plugins_pkgs=[], data_plugins_path=[])
vars(sys.modules["pyroute2"])["config"] = sys.modules["pyroute2.config"]

# pyroute2 logs what it cannot decode; a CNI plugin's stderr is for operators (8 ms).
_provide("traceback", format_exc=_nothing, format_stack=_nothing)
_provide("logging", error=_nothing, warning=_nothing, getLogger=lambda *_: sys.modules["logging"])
_provide("pkgutil")

# netaddr prints objects of its registries with it; imports dataclasses and inspect (10 ms).
_provide("pprint", pformat=repr)

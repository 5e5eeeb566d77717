# SPDX-License-Identifier: Apache-2.0
"""Start-up of the frozen executables: what has to happen before their first import.

build.spec runs this as PyInstaller's run-time hook; programs run from source never see it.
"""

import sys

# The packages' own __init__ modules import everything they have (300 and 60 ms). The executables
# need a few of their modules only, for which a package object with a path is enough.
for _name in ("pyroute2", "netaddr"):
    _package = type(sys)(_name)
    _package.__path__ = [f"{sys._MEIPASS}/{_name}"]  # type: ignore[attr-defined]
    sys.modules[_name] = _package

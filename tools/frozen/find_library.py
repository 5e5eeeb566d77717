# SPDX-License-Identifier: Apache-2.0
"""How the agent finds libudev and libc: by the names that they have on every machine.

PyInstaller runs this before the agent. ctypes would ask ldconfig, then gcc and ld: there is none of
them in a container, and on a node that is a process more at each start.
"""

import ctypes.util


def find_library(name: str) -> str | None:
    """Return the name under which the dynamic loader finds a library; None for any other."""
    return {"udev": "libudev.so.1", "c": "libc.so.6"}.get(name)


ctypes.util.find_library = find_library

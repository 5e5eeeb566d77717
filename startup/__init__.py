# SPDX-License-Identifier: Apache-2.0
"""Start-up of the executables that live for some tens of milliseconds; docs/start-up.md.

`finder.py` runs first in such an executable and finds all modules in one file. `archive.py` writes
that file when the executables are built. Each file of `stand_ins/` becomes the module of its name
there, in the place of the standard library's.
"""

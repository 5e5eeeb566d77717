# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for modules of the standard library, each under the name of the module it replaces.

A stand-in has the names that an executable usually uses. All others come from the real module,
which takes its place then (`real` in startup/finder.py).
"""

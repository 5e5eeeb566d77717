# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for modules of the standard library, each under the name of what it stands for.

A stand-in has what an executable's usual way touches, and says so. Whatever else is asked of it
comes from the real module, which takes its place then (`_real` in startup/finder.py).
"""

# SPDX-License-Identifier: Apache-2.0
"""OrderedDict, which pyroute2 imports; the real module compiles source for namedtuples."""

from _collections import OrderedDict as OrderedDict  # type: ignore[import-not-found]

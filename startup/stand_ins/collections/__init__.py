# SPDX-License-Identifier: Apache-2.0
"""OrderedDict, which pyroute2 imports; the real module compiles source for named tuples.

The real module takes more of `_collections_abc` than the stand-in for that has.
"""

from _collections import OrderedDict as OrderedDict  # type: ignore[import-not-found]

# SPDX-License-Identifier: Apache-2.0
"""cache, partial and reduce, which are written in C; the real module imports many others.

Left out: what `cache` does for the function's looks (its name, its docstring).
"""

import _functools  # type: ignore[import-not-found]
from typing import Any

partial, reduce = _functools.partial, _functools.reduce


def cache(function: Any) -> Any:
    """Have a function remember its results."""
    return _functools._lru_cache_wrapper(function, None, False, tuple)

# SPDX-License-Identifier: Apache-2.0
"""Ranges of indexes: `0-3,7`, as configurations write which VFs of a PF are meant."""

import re
from collections.abc import Iterable

Range = tuple[int, int]  # the first and the last index, both meant

_RANGE = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", re.ASCII)  # a sfnum has 32 bits


def parse(text: str, position: int = 1) -> tuple[Range, ...]:
    """Return the ranges in a text of which the first character is the `position`th of a value.

    ValueError says what would be right, and at which character.
    """
    ranges = []
    for item in text.split(","):
        found = _RANGE.fullmatch(item)
        if found is None:
            raise ValueError(f"an index like 7 or a range like 0-3 at character {position}")
        first, last = int(found[1]), int(found[2] or found[1])
        if first > last:
            raise ValueError(f"{last}-{first} at character {position}: the lower index first")
        ranges.append((first, last))
        position += len(item) + 1
    return tuple(ranges)


def written(ranges: Iterable[Range]) -> str:
    """Return ranges as a configuration has them."""
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)

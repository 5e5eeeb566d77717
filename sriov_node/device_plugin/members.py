# SPDX-License-Identifier: Apache-2.0
"""Members of a PF: `ens1f0#0-3,7`, as an item of pfNames or rootDevices is written."""

import re
from collections.abc import Callable

from sriov_node.device_plugin.resource import Members

_RANGE = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", re.ASCII)  # a sfnum has 32 bits


def parse(text: str, read: Callable[[str], str]) -> Members:
    """Return what an item means; `read` returns the name of its PF, or raises ValueError.

    A ValueError says what would be right; where a range is wrong, at which character, from 1.
    """
    name, sharp, listed = text.partition("#")
    pf = read(name)
    position, ranges = len(name) + 2, []
    for item in listed.split(",") if sharp else ():
        found = _RANGE.fullmatch(item)
        if found is None:
            raise ValueError(f"an index like 7 or a range like 0-3 at character {position}")
        first, last = int(found[1]), int(found[2] or found[1])
        if first > last:
            raise ValueError(f"{last}-{first} at character {position}: the lower index first")
        ranges.append((first, last))
        position += len(item) + 1
    return Members(pf, tuple(ranges))


def written(members: Members) -> str:
    """Return members as a configuration has them."""
    ranges = (f"{first}" if first == last else f"{first}-{last}" for first, last in members.ranges)
    return "#".join(filter(None, (members.pf, ",".join(ranges))))

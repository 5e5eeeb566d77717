# SPDX-License-Identifier: Apache-2.0
"""Members of a PF: `ens1f0#0-3,7`, as an item of pfNames or rootDevices is written."""

from collections.abc import Callable

from sriov_node import ranges
from sriov_node.device_plugin.resource import Members


def parse(text: str, read: Callable[[str], str]) -> Members:
    """Return what an item means; `read` returns the name of its PF, or raises ValueError.

    A ValueError says what would be right; where a range is wrong, at which character, from 1.
    """
    name, sharp, listed = text.partition("#")
    return Members(read(name), ranges.parse(listed, len(name) + 2) if sharp else ())


def written(members: Members) -> str:
    """Return members as a configuration has them."""
    return "#".join(filter(None, (members.pf, ranges.written(members.ranges))))

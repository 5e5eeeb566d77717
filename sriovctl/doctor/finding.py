# SPDX-License-Identifier: Apache-2.0
"""What a check looks at, and what it finds."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sriov_node.preparation.facts import Facts
from sriov_node.preparation.wanted import WantedNode
from sriovctl.picture import Picture
from sriovctl.places import Places


class Finding(NamedTuple):
    """Something that is wrong: what, with which device or file, and the remedy.

    `remedy` is a command where one line of a shell does it, in words otherwise.
    """

    problem: str
    remedy: str


class Surroundings(NamedTuple):
    """Directories of others on the node."""

    cni_bin: str = "/opt/cni/bin"
    device_info: str = "/var/run/k8s.cni.cncf.io/devinfo/dp"
    cdi: str = "/var/run/cdi"
    preparing: str = "/run/sriov/preparing"


class Node(NamedTuple):
    """All that checks look at, gathered once."""

    places: Places
    picture: Picture
    wanted: WantedNode
    facts: Facts
    around: Surroundings = Surroundings()


class Check(NamedTuple):
    """A check: its name, what it looks for in a few words, and the function that looks."""

    name: str
    looks_for: str
    find: Callable[[Node], Iterator[Finding]]

# SPDX-License-Identifier: Apache-2.0
"""What pytest needs to know for all unit tests, and the fixtures many of them share."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.sysfs import Tree
from tests.unit.machine import PF
from tests.unit.network import Network

# A loaded machine is not a failure, and neither is a run the same as the one before.
settings.register_profile("unit", max_examples=50, deadline=None, derandomize=True, database=None)
settings.load_profile("unit")


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """A network with addresses for fixipam to grant, on a node that has never seen it."""
    return Network(tmp_path / "fixipam")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A machine's sysfs, at first with one card of four VFs."""
    tree = Tree(tmp_path / "sys")
    tree.pf(PF, "ens901f0", vfs=4)
    tree.install(monkeypatch)
    return tree

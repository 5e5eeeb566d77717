# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the product as it is now, and the points of its calls."""

from pathlib import Path

import pytest

from tests.points import Point, recorded, recording
from tests.torture.node import TortureNode, copy_product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory with a copy of the product's source."""
    return copy_product(Path(tmp_path_factory.mktemp("product")))


@pytest.fixture(scope="session")
def points(product: str) -> list[Point]:
    """The points of an ADD and of the DEL, or the GC, after it."""
    found: dict[str, list[Point]] = {}
    with TortureNode(product, 0) as node:
        for command in ("ADD", "DEL", "ADD", "GC"):
            ending = node.call(command, recording())
            assert ending.status == 0, ending
            # the first ADD, which makes the state directories, is the one that trials repeat
            found.setdefault(command, recorded(command, ending.trace, product))
        assert node.left() == []
    return [point for points in found.values() for point in points]

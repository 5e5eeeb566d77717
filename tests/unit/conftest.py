# SPDX-License-Identifier: Apache-2.0
"""What pytest needs to know for all unit tests, and the fixture many of them share."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.unit.network import Network

# A loaded machine is not a failure, and neither is a run the same as the one before.
settings.register_profile("unit", max_examples=50, deadline=None, derandomize=True, database=None)
settings.load_profile("unit")


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """A network with addresses for fixipam to grant, on a node that has never seen it."""
    return Network(tmp_path / "fixipam")

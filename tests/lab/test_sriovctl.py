# SPDX-License-Identifier: Apache-2.0
"""`sriovctl` on a prepared node with an agent and pods prints what docs/sriovctl.md shows."""

import pytest

from tests.documents import text
from tests.lab import screens
from tools import manual


@pytest.mark.once  # names, addresses and drivers are the same with each kernel
def test_the_screens_of_the_documentation_are_what_is_printed() -> None:
    assert screens.taken() == manual.screens_of(text(manual.PAGE)), "make manual"

# SPDX-License-Identifier: Apache-2.0
"""docs/sriovctl.md is made of the tool as it is. Its screens, tests/lab/test_sriovctl.py has."""

from tests.documents import text
from tools.manual import PAGE, page, screens_of


def test_the_page_has_the_tools_own_help() -> None:
    there = text(PAGE)
    assert page(there, screens_of(there)) == there, "make manual"

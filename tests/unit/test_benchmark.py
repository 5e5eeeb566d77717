# SPDX-License-Identifier: Apache-2.0
"""The benchmark's arithmetic, and what becomes of its tables. What it measures is nobody's test."""

import pytest

from bench import write_tables
from bench.samples import Bar, Row, Summary, ratio, summary
from tests.unit.executable import REPOSITORY


def test_a_ratio_is_that_of_each_round_so_a_slow_round_does_not_count_twice() -> None:
    assert ratio([2.0, 200.0, 2.0], [1.0, 100.0, 1.0]) == Summary(2.0, 2.0, 2.0)


def test_a_single_round_has_no_spread() -> None:
    assert summary([3.0]) == Summary(3.0, 3.0, 3.0)


def test_the_spread_is_from_the_lowest_to_the_highest_tenth() -> None:
    assert summary([float(n) for n in range(11)]) == Summary(5.0, 1.0, 9.0)


@pytest.mark.parametrize(
    ("measured", "at_most", "at_least"), [(0.9, True, False), (1.1, False, True)]
)
def test_a_bar_is_kept_on_its_own_side(measured: float, at_most: bool, at_least: bool) -> None:
    figures = Summary(measured, measured, measured)
    assert Bar("at most", 1.0, figures).kept is at_most
    assert Bar("at least", 1.0, figures, at_least=True).kept is at_least


def test_the_agents_table_says_which_goals_are_missed() -> None:
    rows = [Row("a", "7", "≤ 2", "1", kept=True), Row("b", "8", "≤ 2", "3", kept=False)]
    lines = write_tables.agent(rows).splitlines()
    assert lines[2:] == ["| a | 7 | ≤ 2 | 1 | pass |", "| b | 8 | ≤ 2 | 3 | **fail** |"]


@pytest.mark.parametrize("name", write_tables.DOCUMENTS)
def test_a_document_has_a_place_for_each_table_and_its_prose_stays(name: str) -> None:
    sections = write_tables.DOCUMENTS[name]
    document = (REPOSITORY / "docs" / name).read_text()
    once = write_tables.insert(document, dict.fromkeys(sections, "new \\1 figures"))
    assert once.count("new \\1 figures") == len(sections)
    assert once.partition("<!--")[0] == document.partition("<!--")[0]
    assert once.rpartition("-->")[2] == document.rpartition("-->")[2]
    assert write_tables.insert(once, dict.fromkeys(sections, "new \\1 figures")) == once


def test_a_document_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="bars"):
        write_tables.insert("prose", {"bars": "table"})

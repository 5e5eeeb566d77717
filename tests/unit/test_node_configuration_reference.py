# SPDX-License-Identifier: Apache-2.0
"""docs/device-plugin.md has every key of the configuration, and its examples are right."""

import json
import re
from typing import Any

import pytest

from sriov_node.device_plugin import configuration
from sriov_node.device_plugin.configuration import (
    DOCUMENT_KEYS,
    RESOURCE_KEYS,
    SELECTOR_KEYS,
    UNSERVED_KEYS,
    Configuration,
)
from tests.documents import blocks, text

PAGE = text("docs/device-plugin.md")
EXAMPLES = blocks("json", "docs/device-plugin.md")


def rows(title: str) -> list[list[str]]:
    """Return the rows of the table below a heading, without its head."""
    _, _, section = PAGE.partition(f"\n{title}\n")
    lines = re.findall(r"^\| (.+) \|$", section.partition("\n## ")[0].partition("\n### ")[0], re.M)
    return [line.split(" | ") for line in lines][1:]


def keys(title: str) -> list[str]:
    return [key for row in rows(title) for key in re.findall(r"`(\w+)`", row[0])]


def parsed(document: Any) -> Configuration:
    return configuration.parse(json.dumps(document).encode(), "intel.com")


def test_the_tables_have_every_key_and_no_other() -> None:
    assert all(f"`{key}`" in PAGE for key in DOCUMENT_KEYS)
    assert sorted(keys("### Resources")) == sorted(RESOURCE_KEYS)
    assert sorted(keys("### Selectors")) == sorted((*SELECTOR_KEYS, *UNSERVED_KEYS))


@pytest.mark.parametrize("title", ["### Resources", "### Selectors"])
def test_each_key_has_type_default_meaning_and_error(title: str) -> None:
    assert all(len(row) == 5 and all(row) for row in rows(title))


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_served_without_a_word(example: str) -> None:
    found = configuration.parse(example.encode(), "intel.com")
    assert (found.faults, found.warnings) == ((), ())
    assert len(found.resources) == len(json.loads(example)["resourceList"])


def test_the_examples_have_every_key_that_is_served() -> None:
    shown = "".join(EXAMPLES)
    rare = ("via", "acpiIndexes")
    served = (*RESOURCE_KEYS, *SELECTOR_KEYS)
    assert [key for key in served if f'"{key}"' not in shown and key not in rare] == []


def test_the_faults_that_the_page_shows_are_told_like_that() -> None:
    wrong = [
        {"resourceName": "sriov_net", "selectors": {"pfNames": ["ens1f0", "ens1f1#0-3,x"]}},
        {"resourceName": "good", "selectors": {}},
        {"resourceName": "sriov net", "selectors": {}},
    ]
    faults = [str(fault) for fault in parsed({"resourceList": wrong}).faults]
    assert len(faults) == 2
    assert "\n".join(faults) in PAGE

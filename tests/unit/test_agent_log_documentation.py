# SPDX-License-Identifier: Apache-2.0
"""docs/troubleshooting.md has every line of the agent's log, by its text, and no other."""

import ast
import re
from collections.abc import Iterator

from tests.unit.executable import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
HEADING = "## Lines in the agent's log"
LEVELS = ("info", "warning", "error", "exception")


def squeezed(text: str) -> str:
    return re.sub("…+", "…", text)


def written() -> Iterator[str]:
    """Yield what the source writes; nothing where the whole line is another module's."""
    for path in (REPOSITORY / "sriov_node").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="_log"), attr=level),
                    args=[ast.Constant(value=str(text)), *_],
                ) if level in LEVELS:
                    line = squeezed(re.sub("%[srd]", "…", text))
                    if line != "…":
                        yield line


def test_every_line_is_listed() -> None:
    section = PAGE.partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert {squeezed(re.sub(r"<[^<>]+>", "…", line)) for line in listed} == set(written())

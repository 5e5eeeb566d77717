# SPDX-License-Identifier: Apache-2.0
"""The documents, and the commands in them. A test runs each, in the layer that can.

A command is a block marked `sh`, or code within a line that begins with one of PROGRAMS. In a
checkout, commands begin with one of DEVELOPERS. All others are for a node: the lab's guest runs
them, whatever they are, with its own names for <placeholders>.
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = tuple(
    str(path.relative_to(ROOT)) for path in sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
)
DEVELOPERS = ("make ", ".venv/", "tests/", "tools/")
PROGRAMS = re.compile(
    "(cat|chroot|cnitool|cp|crictl|dmesg|echo|ethtool|grep|ip|journalctl|kubectl|ls|modprobe|mv"
    "|nsenter|python3|rm|scp|sed|sh|ssh|sysctl|systemctl|tcpdump) "
)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")


class Command(NamedTuple):
    """One or more lines of shell, and the document that has them."""

    document: str
    script: str

    @property
    def in_checkout(self) -> bool:
        return self.script.startswith(DEVELOPERS)


def text(document: str) -> str:
    """Return what is in a document, or in any file of the repository."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(language: str, *documents: str) -> list[str]:
    """Return the blocks of a language, of all documents if none is named."""
    found = (_BLOCK.findall(text(document)) for document in documents or DOCUMENTS)
    return [block for of_document in found for marked, block in of_document if marked == language]


def commands(*documents: str) -> list[Command]:
    """Return the commands, of all documents if none is named."""
    found: list[Command] = []
    for document in documents or DOCUMENTS:
        prose = _BLOCK.sub("", text(document))
        inline = [
            code
            for code in _CODE.findall(prose)
            if PROGRAMS.match(code) or (" " in code and code.startswith(DEVELOPERS))
        ]
        scripts = (*blocks("sh", document), *inline)
        found += (Command(document, script) for script in dict.fromkeys(scripts))
    return found


def commands_running(layer: str) -> list[str]:
    """Return the commands of a checkout that run single files of a layer's tests."""
    scripts = (command.script.strip() for command in commands() if command.in_checkout)
    return [script for script in scripts if re.search(rf"-m pytest .*tests/{layer}/", script)]

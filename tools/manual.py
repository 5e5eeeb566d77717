# SPDX-License-Identifier: Apache-2.0
"""Make docs/sriovctl.md, below its mark, of the tool's own help, doctor's checks and screens.

    python -m tools.manual <SCREENS

SCREENS is JSON: an object of commands and what each prints (tests/lab/screens.py).
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

import click
from click.testing import CliRunner

from sriovctl.__main__ import main as sriovctl
from sriovctl.doctor.command import CHECKS

_WIDTH = 100  # of the help's lines
MARK = "<!-- What follows is made by `make manual`. -->\n"
PAGE = "docs/sriovctl.md"
_TEXT = "```text\n{}```\n"


def page(text: str, screens: Mapping[str, str]) -> str:
    """Return a page anew: what stands above the mark stays."""
    return "\n".join((f"{text.partition(MARK)[0]}{MARK}", *_sections(screens)))


def screens_of(text: str) -> dict[str, str]:
    """Return the screens that a page has, by command."""
    found = {}
    for block in text.split("```text\n$ ")[1:]:
        command, _, screen = block.partition("```\n")[0].partition("\n")
        found[command] = screen
    return found


def _sections(screens: Mapping[str, str]) -> Iterator[str]:
    yield _help()
    commands = list(_commands(sriovctl, ()))
    theirs = {screen: _longest(commands, screen.split()[1:]) for screen in screens}
    for words in commands:
        yield f"## sriovctl {' '.join(words)}\n"
        yield _help(*words)
        for command, screen in screens.items():
            if theirs[command] == words:
                yield _TEXT.format(f"$ {command}\n{screen}")
        if words == ("doctor",):
            yield "| check | looks for |\n|---|---|"
            yield "".join(f"| `{check.name}` | {check.looks_for} |\n" for check in CHECKS)


def _longest(commands: Iterable[tuple[str, ...]], words: Sequence[str]) -> tuple[str, ...]:
    """Return the command that a line calls: "node plan" rather than "node"."""
    return max((c for c in commands if tuple(words[: len(c)]) == c), key=len)


def _commands(group: click.Group, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield all commands as their words, groups before what is in them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        yield (*before, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*before, name))


def _help(*words: str) -> str:
    shown = CliRunner().invoke(
        sriovctl, [*words, "--help"], terminal_width=_WIDTH, prog_name="sriovctl"
    )
    return _TEXT.format(shown.output)


if __name__ == "__main__":
    shown = json.load(sys.stdin)
    with open(PAGE, "r+", encoding="utf-8") as file:
        made = page(file.read(), shown)
        file.seek(0)
        file.truncate()
        file.write(made)

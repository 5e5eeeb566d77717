# SPDX-License-Identifier: Apache-2.0
"""What commands print: tables for people, JSON for programs. Nothing here knows what it prints."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

TABLE, WIDE, JSON = "table", "wide", "json"
_PIPE = 1 << 12  # characters in a line: whatever reads a pipe wants whole ones
_NOTHING = "-"

output_option = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice([TABLE, WIDE, JSON]),
    default=TABLE,
    show_default=True,
    help="A table, one with all columns, or JSON for programs.",
)


class Column(NamedTuple):
    """A column: its title, the key of its values, and whether only `wide` tables have it."""

    title: str
    key: str
    wide: bool = False


def columns(*pairs: str, wide: Sequence[str] = ()) -> tuple[Column, ...]:
    """Return columns, each given as "TITLE key"."""
    return tuple(
        Column(*pair.rpartition(" ")[::2], is_wide)
        for listed, is_wide in ((pairs, False), (wide, True))
        for pair in listed
    )


def console() -> Console:
    """Return where to print for people; colours and width are the terminal's, if there is one."""
    return Console(
        width=None if sys.stdout.isatty() else _PIPE,
        color_system=None if os.environ.get("NO_COLOR") else "auto",  # no bold face either
        highlight=False,
    )


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2))


def show(form: str, shown: Sequence[Column], values: Sequence[Mapping[str, Any]]) -> None:
    """Print objects as a table, or as JSON."""
    if form == JSON:
        show_json(values)
        return
    meant = [column for column in shown if form == WIDE or not column.wide]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in meant:
        table.add_column(column.title, no_wrap=True)
    for value in values:
        table.add_row(*(Text(_cell(value[column.key])) for column in meant))
    console().print(table)


def _cell(value: Any) -> str:
    if value is None or value in ("", []):
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)

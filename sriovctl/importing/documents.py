# SPDX-License-Identifier: Apache-2.0
"""Reading what is to be imported: files of YAML or JSON, as the objects that are in them."""

import math
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sriov_cni.cni.document import JsonObject, shown
from sriov_node import fields, node_file
from sriovctl import exits

if TYPE_CHECKING:
    import yaml

STDIN = "-"
_MOST_VALUES = 1 << 17  # what aliases of YAML stand for included
_DEEPEST = 64  # levels
_IMPLICIT = {  # plain scalars that are no strings: what JSON has, and Kubernetes reads the same
    "tag:yaml.org,2002:null": (r"^(?:~|null|Null|NULL|)$", "~nN"),
    "tag:yaml.org,2002:bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "tag:yaml.org,2002:int": (r"^-?(?:0|[1-9][0-9]{0,17})$", "-0123456789"),
    "tag:yaml.org,2002:float": (
        r"^-?(?:0|[1-9][0-9]{0,17})\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?$",
        "-0123456789",
    ),
}


class Document(NamedTuple):
    """An object, and the name of its file."""

    path: str
    values: JsonObject


def read(path: str) -> Iterator[Document]:
    """Yield the objects of a file, STDIN for standard input; those of a List one by one.

    Raises Failed for what cannot be read, with the line that is wrong.
    """
    content = _content(path)
    if len(content) > node_file.LARGEST:
        raise exits.Failed(f"{path} is longer than {node_file.LARGEST} bytes: import it in parts")
    values = [_json(path, content)] if content.lstrip()[:1] == b"{" else _yaml(path, content)
    for value in values:
        if isinstance(value, dict):
            yield from _objects(path, value)
        elif value is not None:  # nothing between two lines of ---
            raise exits.Failed(f"{path} has {shown(value)} in the place of an object")


def _content(path: str) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read(node_file.LARGEST + 1)
    try:
        return node_file.read_bounded(path)
    except OSError as error:
        raise exits.Failed(f"{path} cannot be read: {error.strerror}") from None


def _objects(path: str, value: JsonObject) -> Iterator[Document]:
    items = value.get("items")
    if not str(value.get("kind", "")).endswith("List") or not isinstance(items, list):
        yield Document(path, value)
        return
    for item in items:
        if not isinstance(item, dict):
            raise exits.Failed(f"{path} has {shown(item)} in a List, which has objects")
        yield Document(path, item)


def _json(path: str, content: bytes) -> object:
    try:
        return fields.decode(content)
    except ValueError as error:  # it names line and column
        raise exits.Failed(f"{path} is not JSON: {error}") from None


def _yaml(path: str, content: bytes) -> list[Any]:
    import yaml  # only this command needs it

    try:
        values = list(yaml.load_all(content, _loader()))
        _refuse_unwritable(values, [_MOST_VALUES], _DEEPEST)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise exits.Failed(f"{path}{line} is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise exits.Failed(f"{path} is not YAML: {reason}") from None
    except RecursionError:
        raise exits.Failed(f"{path} is not YAML: nested too deeply") from None
    return values


@cache
def _loader() -> "type[yaml.SafeLoader]":
    """Return PyYAML's safe loader, with the scalars of YAML 1.2.

    By YAML 1.1, which PyYAML reads, the PCI address 0000:03:00.0 is a number, and `on` is true.
    """
    import re

    import yaml

    class Loader(yaml.SafeLoader):
        """Knows no implicit types but those below."""

    Loader.yaml_implicit_resolvers = {}

    for tag, (pattern, first) in _IMPLICIT.items():
        begins = [*first, ""] if tag.endswith("null") else list(first)
        Loader.add_implicit_resolver(tag, re.compile(pattern), begins)
    return Loader


def _refuse_unwritable(value: object, left: list[int], levels: int) -> None:
    """Raise ValueError for what JSON cannot hold, or not in reasonable space."""
    left[0] -= 1
    if left[0] < 0:
        raise ValueError(f"it has more than {_MOST_VALUES} values")
    if levels == 0:
        raise RecursionError
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {shown(key)} is no string: put it in quotes")
            _refuse_unwritable(item, left, levels - 1)
    elif isinstance(value, list):
        for item in value:
            _refuse_unwritable(item, left, levels - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"{shown(value)} has no counterpart in JSON: put it in quotes")

# SPDX-License-Identifier: Apache-2.0
"""Reading a JSON document as Go's decoder does, and collecting what is wrong in it.

The established device plugin decodes its file with Go's encoding/json: keys match in any case,
the last of equal ones counts, null is absent, unknown keys are ignored, and text that is no UTF-8
is replaced. Files that were written for it must be read in the same way.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

from sriov_cni.cni.document import shown

# What Go writes of the established plugin's own structures, which is how its operator makes files:
# two keys in this case, and two that mean nothing.
_SPELT_BY_GO = ("IsRdma", "NeedVhostNet")
_MEANINGLESS = ("SelectorObj", "SelectorObjs")
_MOST_GUESSES = 100  # a guess takes a fraction of a millisecond
Value = TypeVar("Value")


class Fault(NamedTuple):
    """What keeps a resource from being served, or all of them.

    `resource` is its full name, or its place in the list where it has no valid one; empty where the
    document is at fault. `value` is as a log may show it.
    """

    resource: str
    key: str
    value: str
    right: str

    def __str__(self) -> str:
        where = f"{self.resource}: " if self.resource else ""
        return f"{where}{self.key} is {self.value}, it must be {self.right}"


class Findings:
    """The faults and warnings of a document, in the order they are found in.

    `resource` is the one that is being read.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.warnings: list[str] = []
        self.resource = ""

    def fault(self, key: str, value: str, right: str) -> None:
        """Note a fault of the resource that is being read."""
        self.faults.append(Fault(self.resource, key, value, right))

    def warn(self, text: str) -> None:
        """Note what is odd in the resource that is being read."""
        self.warnings.append(f"{self.resource}: {text}" if self.resource else text)

    def unknown(self, key: str, where: str, known: Iterable[str]) -> None:
        """Note a key that means nothing, and the known one that it resembles."""
        near = []
        if len(self.warnings) < _MOST_GUESSES:
            lower = {name.lower(): name for name in known}
            near = [lower[name] for name in difflib.get_close_matches(key.lower(), lower, 1)]
        guess = f": is {near[0]} meant?" if near else ""
        self.warn(f"key {where}{_quoted(key)} is unknown and ignored{guess}")


def decode(content: bytes) -> object:
    """Return the value of a JSON document; ValueError says why it is none."""
    try:
        text = content.decode("utf-8-sig", "replace")
        return _legible(json.loads(text, parse_constant=_no_constant))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _legible(value: Any) -> Any:
    """Return a value with half surrogate pairs replaced, which nothing could print."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_legible(item) for item in value]
    if isinstance(value, dict):
        return {_legible(key): _legible(item) for key, item in value.items()}
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


class Fields(NamedTuple):
    """Typed reading of a JSON object; `where` stands before its keys in faults and warnings.

    A getter returns what is empty for a key that is absent or null, and for one that it finds
    wrong: that it notes as a fault. A function `read` raises ValueError with what would be right.
    """

    values: Mapping[str, Any]
    where: str
    findings: Findings

    def wrong(self, key: str, right: str) -> None:
        """Note that the value of `key` is wrong."""
        value = self.values.get(key)
        value_shown = "missing" if value is None else shown(value)
        self.findings.fault(f"{self.where}{key}", value_shown, right)

    def text(self, key: str, read: Callable[[str], Value], default: str = "") -> Value | None:
        """Return what `read` makes of a string, or of `default` if it is empty; None if wrong."""
        value = self.values.get(key)
        if value is None or value == "":
            value = default
        try:
            return _read(value, read)
        except ValueError as error:
            value_shown = shown(value) if value else "missing"
            self.findings.fault(f"{self.where}{key}", value_shown, str(error))
            return None

    def boolean(self, key: str) -> bool:
        """Return a boolean."""
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return value or False
        self.wrong(key, "true or false")
        return False

    def integer(self, key: str, legal: range) -> int | None:
        """Return a whole number, None if it is absent."""
        value = self.values.get(key)
        if value is None or (type(value) is int and value in legal):
            return value
        self.wrong(key, f"a whole number from {legal[0]} to {legal[-1]}")
        return None

    def texts(self, key: str, read: Callable[[str], Value]) -> tuple[Value, ...]:
        """Return what `read` makes of each string of a list."""
        listed = self.values.get(key)
        if listed is not None and not isinstance(listed, list):
            self.wrong(key, "a list of strings")
        if not isinstance(listed, list):
            return ()
        values = []
        for index, item in enumerate(listed):
            try:
                values.append(_read(item, read))
            except ValueError as error:
                self.findings.fault(f"{self.where}{key}[{index}]", shown(item), str(error))
        return tuple(values)


def fields(
    values: Mapping[str, Any], known: Iterable[str], where: str, findings: Findings
) -> Fields:
    """Return an object's known keys, in their right spelling, and note the others."""
    known = tuple(known)
    right_of = {key.lower(): key for key in known}
    found = {}
    for key, value in values.items():
        right = right_of.get(key.lower())
        if right is None:
            if key not in _MEANINGLESS:
                findings.unknown(key, where, known)
            continue
        if key != right and key not in _SPELT_BY_GO:
            findings.warn(f"key {where}{_quoted(key)} is taken for {right}: correct its spelling")
        found[right] = value
    return Fields(found, where, findings)


def _read(value: object, read: Callable[[str], Value]) -> Value:
    if not isinstance(value, str):
        raise ValueError("a string")
    return read(value)


def _quoted(key: str) -> str:
    """Return a key as it is, or as JSON where that would not be one plain word."""
    return key if key.isascii() and key.isidentifier() and len(key) <= 40 else shown(key)

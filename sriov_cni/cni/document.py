# SPDX-License-Identifier: Apache-2.0
"""JSON documents: how one is read and written, and what may be asked of its values.

`Fields` reads a decoded object key by key and raises a CniError that names the key, the value and
what would be right, so that no caller compares types by hand.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

from sriov_cni.cni import errors
from sriov_cni.cni.errors import CniError

LARGEST_DOCUMENT = 1 << 20  # bytes; the largest configuration seen in the field is a few KiB
LONGEST_PATH = 4095  # bytes; PATH_MAX - 1 (include/uapi/linux/limits.h)
DEEPEST = 64  # levels; a result within a configuration has about ten
JsonObject = dict[str, Any]


def decode(
    data: bytes, what: str, largest: int = LARGEST_DOCUMENT, deepest: int = DEEPEST
) -> JsonObject:
    """Decode one JSON object of at most `largest` bytes and `deepest` levels.

    `encode` can write it again. `what` names its origin in errors (code 6).
    """
    if len(data) > largest:
        raise CniError(errors.UNDECODABLE, f"{what} is too large", f"more than {largest} bytes")
    try:
        document = json.loads(data, parse_constant=_no_constant, parse_float=_finite)
        _refuse_unwritable(document, deepest)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CniError(errors.UNDECODABLE, f"{what} is not JSON", reason) from None
    if not isinstance(document, dict):
        raise CniError(
            errors.UNDECODABLE, f"{what} is not a JSON object", f"it is {shown(document)}"
        )
    return document


def encode(document: Mapping[str, Any]) -> bytes:
    """Encode a JSON object, one line, ASCII only."""
    return json.dumps(document, separators=(",", ":")).encode()


def shown(value: object) -> str:
    """Return a value as an error message may quote it: as JSON, in one line, not too long."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."


def respelt(values: Mapping[str, Any], known: Iterable[str]) -> tuple[JsonObject, dict[str, str]]:
    """Return an object with its keys in the known case, and which key was taken for which.

    Go programs read keys in any case: a VLAN must not get lost over `vlanQos`.
    """
    right_of = {key.lower(): key for key in known}
    taken = {key: right_of.get(key.lower(), key) for key in values}
    taken = {key: right for key, right in taken.items() if right not in values}
    return {**values, **{right: values[key] for key, right in taken.items()}}, taken


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        raise ValueError(f"{text:.40} is too large a number")
    return number


def _refuse_unwritable(value: object, levels: int) -> None:
    """Raise ValueError for half a surrogate pair, RecursionError for too many levels."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict | list):
        if levels == 0:
            raise RecursionError
        for item in value if isinstance(value, list) else (*value, *value.values()):
            _refuse_unwritable(item, levels - 1)


class Fields(NamedTuple):
    """Typed reading of a JSON object that came from outside.

    `where` prefixes the key in errors ("ipam." for example). Every getter returns None for an
    absent key or a null and raises CniError (`code`) for a value of another type.
    """

    values: Mapping[str, Any]
    where: str = ""
    code: int = errors.INVALID_CONFIGURATION

    def error_for(self, key: str, right: str) -> CniError:
        """Return the error for the value of `key`; `right` says what would be right."""
        return CniError(
            self.code,
            f"invalid {self.where}{key}",
            f"{self.where}{key} is {shown(self.values.get(key))}, it must be {right}",
        )

    def text(self, key: str) -> str | None:
        """Return a string."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.error_for(key, "a string")

    def path(self, key: str) -> str | None:
        """Return an absolute path without `..`; an empty one is absent."""
        value = self.text(key)
        if not value:
            return None
        usable = value.startswith("/") and "\0" not in value and len(value) <= LONGEST_PATH
        # where .. leads depends on what is there: it may be a link, or yet to be made
        if not usable or ".." in value.split("/"):
            raise self.error_for(key, "an absolute path without ..")
        return value

    def integer(self, key: str, lowest: int, highest: int) -> int | None:
        """Return an integer within bounds; neither a boolean nor 1.0 is an integer."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        raise self.error_for(key, f"an integer from {lowest} to {highest}")

    def choice(self, key: str, choices: tuple[str, ...]) -> str | None:
        """Return one of the given strings."""
        value = self.values.get(key)
        if value is None or value == "":  # Go programs write an unset string as ""
            return None
        if isinstance(value, str) and value in choices:
            return value
        raise self.error_for(key, "one of " + ", ".join(f'"{choice}"' for choice in choices))

    def boolean(self, key: str) -> bool | None:
        """Return a boolean."""
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return value
        raise self.error_for(key, "true or false")

    def object(self, key: str) -> "Fields | None":
        """Return a nested object's fields."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, dict):
            return Fields(value, f"{self.where}{key}.", self.code)
        raise self.error_for(key, "an object")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; an absent one is empty."""
        value = self.values.get(key)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise self.error_for(key, "a list of strings")

    def objects(self, key: str) -> "tuple[Fields, ...]":
        """Return a list of objects' fields; an absent one is empty."""
        value = self.values.get(key)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return tuple(
                Fields(item, f"{self.where}{key}[{index}].", self.code)
                for index, item in enumerate(value)
            )
        raise self.error_for(key, "a list of objects")

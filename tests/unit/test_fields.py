# SPDX-License-Identifier: Apache-2.0
"""Typed reading: every getter takes its own type and nothing that merely looks like it."""

from collections.abc import Callable
from typing import Any

import pytest

from sriov_cni.cni import errors
from sriov_cni.cni.document import Fields
from sriov_cni.cni.errors import CniError

Getter = Callable[[Fields], Any]
GETTERS: dict[str, Getter] = {
    "text": lambda fields: fields.text("key"),
    "integer": lambda fields: fields.integer("key", 1, 10),
    "choice": lambda fields: fields.choice("key", ("on", "off")),
    "boolean": lambda fields: fields.boolean("key"),
    "object": lambda fields: fields.object("key"),
    "texts": lambda fields: fields.texts("key"),
    "objects": lambda fields: fields.objects("key"),
}
RIGHT: list[tuple[str, Any]] = [
    ("text", ""),
    ("text", "on"),
    ("integer", 1),
    ("integer", 10),
    ("choice", "off"),
    ("boolean", True),
    ("boolean", False),
    ("texts", []),
    ("texts", ["a", ""]),
    ("objects", []),
]
WRONG: dict[str, list[Any]] = {
    "text": [1, True, ["on"], {}],
    "integer": [0, 11, -1, True, False, 1.0, "1", [1], {}, 10**30],
    "choice": ["ON", True, 1, ["on"], {}],
    "boolean": [0, 1, "true", "", [], {}],
    "object": ["", 0, False, [], [{}]],
    "texts": ["a", [1], ["a", None], {"a": 1}, 0],
    "objects": [{}, [{}, 1], [[]], "a", False],
}


@pytest.mark.parametrize(("getter", "value"), RIGHT)
def test_a_value_of_the_right_type_is_returned(getter: str, value: Any) -> None:
    expected = tuple(value) if isinstance(value, list) else value
    assert GETTERS[getter](Fields({"key": value})) == expected


@pytest.mark.parametrize("values", [{}, {"key": None}], ids=["absent", "null"])
@pytest.mark.parametrize("getter", GETTERS)
def test_absent_and_null_are_nothing(getter: str, values: dict[str, Any]) -> None:
    assert not GETTERS[getter](Fields(values))


@pytest.mark.parametrize(("getter", "value"), [(g, value) for g in WRONG for value in WRONG[g]])
def test_a_value_of_another_type_or_out_of_range_is_refused(getter: str, value: object) -> None:
    with pytest.raises(CniError, match=r"ipam\.key is .*, it must be ") as caught:
        GETTERS[getter](Fields({"key": value}, "ipam."))
    assert caught.value.code == errors.INVALID_CONFIGURATION


def test_the_code_is_that_of_the_place_the_value_came_from() -> None:
    fields = Fields({"key": "x"}, "CNI_ARGS ", errors.INVALID_ENVIRONMENT)
    with pytest.raises(CniError, match="invalid CNI_ARGS key") as caught:
        fields.integer("key", 0, 1)
    assert caught.value.code == errors.INVALID_ENVIRONMENT


def test_nested_values_are_named_by_their_path() -> None:
    ipam = Fields({"ipam": {"routes": [{}, {"dst": 1}]}}).object("ipam")
    assert ipam is not None
    with pytest.raises(CniError, match=r"invalid ipam\.routes\[1\]\.dst"):
        ipam.objects("routes")[1].text("dst")


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(CniError) as caught:
        Fields({"key": ["x" * 1000]}).text("key")
    assert len(caught.value.details) < 150

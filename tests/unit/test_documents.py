# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes come in, they are one JSON object or an error of code 6."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_cni.cni import errors
from sriov_cni.cni.document import LARGEST_DOCUMENT, decode, encode, shown
from sriov_cni.cni.errors import CniError

UNDECODABLE = {
    "nothing": b"",
    "white space": b" \n",
    "half an object": b'{"name": "mynet"',
    "two objects": b"{} {}",
    "single quotes": b"{'name': 'mynet'}",
    "NaN": b'{"mtu": NaN}',
    "Infinity": b'{"mtu": Infinity}',
    "-Infinity": b'{"mtu": -Infinity}',
    "a number beyond all bounds": b'{"mtu": 1e999}',
    "an integer of 5000 digits": b'{"mtu": ' + b"9" * 5000 + b"}",
    "deep lists": b"[" * 500_000,
    "deep objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "invalid UTF-8": b'{"name": "\xff"}',
    "half a character of UTF-16 in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "half a character of UTF-16 as escape": b'{"name": "\\ud800"}',
    "too much": b" " * (LARGEST_DOCUMENT - 1) + b"{}",
}
NO_OBJECTS = [b"[]", b"null", b"true", b"1", b'"{}"', b"[" * 9 + b"]" * 9]


@pytest.mark.parametrize("data", UNDECODABLE.values(), ids=UNDECODABLE)
def test_what_is_not_json_is_undecodable(data: bytes) -> None:
    with pytest.raises(CniError, match="the configuration") as caught:
        decode(data, "the configuration")
    assert caught.value.code == errors.UNDECODABLE


@pytest.mark.parametrize("data", NO_OBJECTS)
def test_json_that_is_no_object_is_undecodable(data: bytes) -> None:
    with pytest.raises(CniError, match="not a JSON object") as caught:
        decode(data, "the configuration")
    assert caught.value.code == errors.UNDECODABLE


def test_of_a_key_given_twice_the_last_counts_as_in_go() -> None:
    assert decode(b'{"vf": 1, "vf": 2, "x": {"a": 1, "a": 2}}', "it") == {"vf": 2, "x": {"a": 2}}


def test_levels_are_counted() -> None:
    decode(nested(64), "it")
    decode(nested(65), "it", deepest=65)
    with pytest.raises(CniError, match="nested too deeply"):
        decode(nested(65), "it")


def test_a_document_may_be_as_large_as_it_says() -> None:
    assert decode(b" " * (LARGEST_DOCUMENT - 2) + b"{}", "it") == {}


@given(st.binary(max_size=200))
def test_random_bytes_are_an_object_or_a_coded_error(data: bytes) -> None:
    with suppress(CniError):
        assert isinstance(decode(data, "it"), dict)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(st.text(), values, max_size=4)


# What Python's json writes and others must not read, half characters among it.
hostile_values = st.recursive(
    st.floats() | st.integers() | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(hostile_values, st.booleans(), st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-8-sig"]))
def test_what_is_decoded_can_be_written_again(value: object, ascii: bool, encoding: str) -> None:
    text = json.dumps({"key": value}, ensure_ascii=ascii)
    with suppress(CniError):
        document = decode(text.encode(encoding, "surrogatepass"), "it")
        assert decode(encode(document), "it") == document


@given(objects)
def test_what_was_encoded_decodes_to_itself(document: dict[str, Any]) -> None:
    assert decode(encode(document), "it") == document


@given(objects)
def test_a_document_is_one_line_of_ascii(document: dict[str, Any]) -> None:
    encoded = encode(document)
    assert encoded.isascii()
    assert encoded.splitlines() == [encoded]


@given(values)
def test_a_value_in_an_error_message_is_short_and_in_one_line(value: object) -> None:
    assert len(shown(value)) <= 80
    assert len(shown(value).splitlines()) == 1


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def deepest() -> int:
    """Return how deep an object may be nested before it is undecodable."""
    fits, fails = 1, 200_000
    while fails - fits > 1:
        middle = (fits + fails) // 2
        try:
            decode(nested(middle), "it")
            fits = middle
        except CniError:
            fails = middle
    return fits


def further_in(calls: int, function: Callable[[], bytes]) -> bytes:
    """Call a function with many frames on the stack, as commands have them."""
    return function() if calls == 0 else further_in(calls - 1, function)


def test_the_deepest_document_can_still_be_quoted_in_an_error_and_kept_in_a_record() -> None:
    document = decode(nested(deepest()), "it")
    assert further_in(20, lambda: shown(document).encode()).startswith(b'{"a":')
    assert further_in(20, lambda: encode({"config": document})).startswith(b'{"config":')

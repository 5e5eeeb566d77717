# SPDX-License-Identifier: Apache-2.0
"""Names that become parts of paths and messages: none climbs, none breaks a line."""

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sriov_cni.cni.names import (
    LONGEST_IDENTIFIER,
    why_no_identifier,
    why_no_interface_name,
)
from sriov_cni.kernel.sysfs import is_pci_address

# Any code point: names come from JSON escapes and, undecodable bytes included, from the environment
anything = st.text(st.characters(exclude_categories=()), max_size=20)
suspects = st.text(st.sampled_from("a0._-/:\\ \t\n\0\x7f\u00a0\u2028\u200b\u00e9\udcff\ud800"))


@given(anything | suspects)
@example("\ud800")
def test_no_interface_name_leaves_its_directory_or_line(name: str) -> None:
    if why_no_interface_name(name) is None:
        assert os.path.normpath(f"/sys/class/net/{name}") == f"/sys/class/net/{name}"
        assert name.split() == [name]
        assert name.isprintable()
        assert 1 <= len(os.fsencode(name)) <= 15


@given(anything | suspects)
def test_no_identifier_leaves_its_directory_or_line(name: str) -> None:
    if why_no_identifier(name) is None:
        assert os.path.normpath(f"/state/{name}") == f"/state/{name}"
        assert name.split() == [name]
        assert name.isascii()
        assert "," not in name


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,30}", fullmatch=True))
def test_every_identifier_of_the_specification_is_one(name: str) -> None:
    assert why_no_identifier(name) is None


@given(anything | suspects | st.text("0123456789abcdefABCDEF:.", max_size=16))
def test_no_pci_address_leaves_its_directory(name: str) -> None:
    if is_pci_address(name):
        assert os.path.normpath(f"/sys/bus/pci/devices/{name}") == f"/sys/bus/pci/devices/{name}"
        assert name.isascii()


@pytest.mark.parametrize("address", ["0000:01:10.0", "10000:ff:1f.7", "0000:3B:02.1"])
def test_a_pci_address_is_one(address: str) -> None:
    assert is_pci_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *("", "../../x", "0000:01:10", "01:10.0", "0000:01:10.8", "0000:01:10.f", "0000.01:10:0"),
        *("0000:01:10.0/..", "0000:01:10.0\n", " 0000:01:10.0", "0000:01:1g.0", "virtio0"),
    ],
)
def test_anything_else_is_no_pci_address(address: str) -> None:
    assert not is_pci_address(address)


@given(st.from_regex(r"[a-z][a-z0-9._\-]{0,14}", fullmatch=True))
def test_every_usual_interface_name_is_one(name: str) -> None:
    assert why_no_interface_name(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("sixteen_letters_", "longer than 15 bytes"),
        ("\u00e9" * 8, "longer than 15 bytes"),
        (".", "directory"),
        ("..", "directory"),
        ("a/b", "'/'"),
        ("a:b", "':'"),
        ("a b", "white space"),
        ("a\0", "unprintable"),
    ],
)
def test_an_interface_name_is_refused_with_the_reason(name: str, reason: str) -> None:
    assert reason in (why_no_interface_name(name) or "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("a" * (LONGEST_IDENTIFIER + 1), "longer than"),
        ("-a", "start with a letter or a digit"),
        ("..", "start with a letter or a digit"),
        ("\u00e9", "ASCII"),
        ("a/b", "only letters"),
        ("a\n", "only letters"),
    ],
)
def test_an_identifier_is_refused_with_the_reason(name: str, reason: str) -> None:
    assert reason in (why_no_identifier(name) or "")

# SPDX-License-Identifier: Apache-2.0
"""Addresses in text: the forms of CNI, and none of the others that C libraries know."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_cni.cni.addresses import parse_address, parse_mac, parse_network

NO_ADDRESSES = [
    *("", " ", "10.0.0", "10.0.0.256", "10.0.0.1.2", "10.0.0.1/24", "10.1", "1", "0x0a000001"),
    *("010.0.0.1", "10.0.0.1 ", " 10.0.0.1", "10.0.0.1\n", "10.0.0.1\0", "host", "fd00::1::2"),
    *("fd00::1%eth0", "fd00::g", ":::", "\u0663.0.0.1", "\ud800"),
]
NO_PREFIXES = [
    "",
    "/",
    "/33",
    "/-1",
    "/+8",
    "/ 8",
    "/8 ",
    "/255.0.0.0",
    "/\u0668",
    "/\u00b2",
    "/8/8",
]
NO_MACS = [
    *("", "66:d8:02:77:aa", "66:d8:02:77:aa:aa:bb", "66:d8:02:77:aa:a", "66:d8:02:77:aa:ag"),
    *("66d80277aaaa", "66d8.0277.aaa", "66:d8:02:77:aa:aa ", "\uff166:d8:02:77:aa:aa"),
]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("10.55.206.46", "10.55.206.46"),
        ("0.0.0.0", "0.0.0.0"),
        ("FD00:0:0::2E", "fd00::2e"),
        ("::", "::"),
    ],
)
def test_an_address_is_written_in_one_way_only(text: str, written: str) -> None:
    assert str(parse_address(text)) == written


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address"):
        parse_address(text)


@given(st.ip_addresses())
def test_every_address_keeps_its_value(address: IPv4Address | IPv6Address) -> None:
    parsed = parse_address(str(address))
    assert (parsed.version, int(parsed)) == (address.version, int(address))


@given(st.text())
def test_no_text_makes_an_address_fail_otherwise(text: str) -> None:
    for parse in (parse_address, parse_network, parse_mac):
        with suppress(ValueError):
            parse(text)


@pytest.mark.parametrize("text", ["10.55.206.46/26", "10.0.0.0/32", "0.0.0.0/0", "fd00::2e/64"])
def test_a_network_keeps_its_host_bits(text: str) -> None:
    assert str(parse_network(text)) == text


@pytest.mark.parametrize("prefix", NO_PREFIXES)
def test_a_network_without_a_prefix_length_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="with a prefix length"):
        parse_network(f"10.0.0.0{prefix}")


def test_a_prefix_of_ipv6_has_up_to_128_bits() -> None:
    assert parse_network("fd00::1/128").prefixlen == 128
    with pytest.raises(ValueError, match="with a prefix length"):
        parse_network("fd00::1/129")


@pytest.mark.parametrize("text", ["66:d8:02:77:aa:aa", "66:D8:02:77:AA:AA", "66-d8-02-77-aa-aa"])
def test_a_mac_is_written_in_one_way_only(text: str) -> None:
    assert parse_mac(text) == "66:d8:02:77:aa:aa"


@pytest.mark.parametrize("text", NO_MACS)
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a MAC address"):
        parse_mac(text)


@pytest.mark.parametrize("text", ["01:00:5e:00:00:01", "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff"])
def test_a_multicast_mac_is_no_devices(text: str) -> None:
    with pytest.raises(ValueError, match="multicast"):
        parse_mac(text)


def test_the_mac_of_zeros_is_no_devices() -> None:
    with pytest.raises(ValueError, match="no device"):
        parse_mac("00:00:00:00:00:00")

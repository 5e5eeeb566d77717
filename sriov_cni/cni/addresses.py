# SPDX-License-Identifier: Apache-2.0
"""IP and MAC addresses as they come in text: netaddr, with the forms CNI does not know refused.

netaddr also takes "10.0.0.0/255.0.0.0" for a network; in CNI an address is an address and a
prefix is a number.
"""

from netaddr.core import AddrFormatError
from netaddr.ip import IPAddress, IPNetwork

__all__ = ["IPAddress", "IPNetwork", "parse_address", "parse_mac", "parse_network"]


def parse_address(text: str) -> IPAddress:
    """Return an IPv4 or IPv6 address; raise ValueError for any other text."""
    try:
        return IPAddress(text)
    except (AddrFormatError, ValueError, TypeError):
        raise ValueError(f"{text!r:.80} is not an IP address") from None


def parse_network(text: str) -> IPNetwork:
    """Return an address with its prefix, host bits kept; raise ValueError for any other text."""
    address, slash, prefix = text.partition("/")
    if slash and prefix.isascii() and prefix.isdigit() and len(prefix) <= 3:
        try:
            return IPNetwork(f"{parse_address(address)}/{prefix}")
        except (AddrFormatError, ValueError, TypeError):
            pass
    raise ValueError(f"{text!r:.80} is not an IP address with a prefix length")


def parse_mac(text: str) -> str:
    """Return an Ethernet unicast address as xx:xx:xx:xx:xx:xx; or raise ValueError."""
    if text.count(".") == 2 and len(text) == 14:  # 66d8.0277.aaaa
        text = ":".join(f"{part[:2]}:{part[2:]}" for part in text.split("."))
    octets = text.lower().replace("-", ":").split(":")
    if len(octets) != 6 or not all(len(o) == 2 and _is_hexadecimal(o) for o in octets):
        raise ValueError(f"{text!r:.80} is not a MAC address of the form 66:d8:02:77:aa:aa")
    if int(octets[0], 16) & 1:
        raise ValueError(f"{text} is a multicast address")
    if set(octets) == {"00"}:
        raise ValueError(f"{text} is no device's address")
    return ":".join(octets)


def _is_hexadecimal(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text)

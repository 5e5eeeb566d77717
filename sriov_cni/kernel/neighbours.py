# SPDX-License-Identifier: Apache-2.0
"""Telling neighbours where an address is now, so that none keeps a stale entry."""

import socket
import struct

from sriov_cni.kernel.errors import as_kernel_errors
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netns import Pod, inside

_BROADCAST, _ALL_NODES = b"\xff" * 6, bytes.fromhex("333300000001")
_ETH_P_ARP, _ETH_P_IPV6 = 0x0806, 0x86DD
_ALL_NODES_ADDRESS = socket.inet_pton(socket.AF_INET6, "ff02::1")
_OVERRIDE = 0x20000000


def announce(pod: Pod, link: Link, addresses: list[tuple[int, str]]) -> None:
    """Send an announcement for each (IP version, address) from the pod's device.

    Raises KernelError. Without carrier the kernel drops them.
    """
    mac = bytes.fromhex(link.mac.replace(":", ""))
    with as_kernel_errors(f"announcing addresses on {link.name}"):
        with inside(pod.namespace):
            sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        with sender:
            sender.bind((link.name, 0))
            for version, address in addresses:
                sender.send(_arp(mac, address) if version == 4 else _advertisement(mac, address))


def _arp(mac: bytes, address: str) -> bytes:
    """Return an ARP announcement: a request for one's own address (RFC 5227, section 3)."""
    own = socket.inet_pton(socket.AF_INET, address)
    header = struct.pack("!6s6sH", _BROADCAST, mac, _ETH_P_ARP)
    return header + struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, own, bytes(6), own)


def _advertisement(mac: bytes, address: str) -> bytes:
    """Return an unsolicited neighbour advertisement (RFC 4861, sections 4.4 and 7.2.6)."""
    own = socket.inet_pton(socket.AF_INET6, address)
    option = struct.pack("!BB6s", 2, 1, mac)  # target link-layer address
    body = struct.pack("!I16s", _OVERRIDE, own) + option
    length = 4 + len(body)
    pseudo = own + _ALL_NODES_ADDRESS + struct.pack("!I3xB", length, socket.IPPROTO_ICMPV6)
    checksum = _checksum(pseudo + struct.pack("!BBH", 136, 0, 0) + body)
    icmp = struct.pack("!BBH", 136, 0, checksum) + body
    ip = struct.pack("!IHBB", 6 << 28, length, socket.IPPROTO_ICMPV6, 255)
    header = struct.pack("!6s6sH", _ALL_NODES, mac, _ETH_P_IPV6)
    return header + ip + own + _ALL_NODES_ADDRESS + icmp


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

# SPDX-License-Identifier: Apache-2.0
"""The floor under an ADD in Python: move, rename and bring up a device with one message.

run_floor.py DEVICE NETNS NEW_NAME, executed with -I -S. Numbers: include/uapi/linux/rtnetlink.h.
"""

import _socket
import sys
from posix import O_RDONLY, open  # what os wraps; os is not imported with -S

device, netns, name = sys.argv[1:]


def number(value: int, size: int = 4) -> bytes:
    """Encode an unsigned number of `size` bytes."""
    return value.to_bytes(size, sys.byteorder)


def attribute(kind: int, value: bytes) -> bytes:
    """Encode a struct rtattr with its padding."""
    return number(len(value) + 4, 2) + number(kind, 2) + value + bytes(-len(value) % 4)


IFLA_IFNAME, IFLA_NET_NS_FD, IFF_UP = 3, 28, 1
RTM_NEWLINK, NLM_F_REQUEST, NLM_F_ACK = 16, 1, 4

body = bytes(4) + number(_socket.if_nametoindex(device)) + number(IFF_UP) + number(IFF_UP)
body += attribute(IFLA_NET_NS_FD, number(open(netns, O_RDONLY)))
body += attribute(IFLA_IFNAME, name.encode() + b"\0")
header = number(16 + len(body)) + number(RTM_NEWLINK, 2) + number(NLM_F_REQUEST | NLM_F_ACK, 2)

netlink = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, 0)
netlink.send(header + number(1) + number(0) + body)
sys.exit(int.from_bytes(netlink.recv(4096)[16:20], sys.byteorder))  # struct nlmsgerr: 0 is success

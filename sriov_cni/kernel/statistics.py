# SPDX-License-Identifier: Apache-2.0
"""Counters: of VFs as their PF's driver keeps them, and of a network device as it keeps its own.

IFLA_VF_STATS and IFLA_STATS64 of RTM_GETLINK (include/uapi/linux/if_link.h).
"""

import errno
import os
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sriov_cni.kernel import vfs
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.messages import LinkMessage
from sriov_cni.kernel.netlink import Message, Socket

_RTM_GETLINK = 18
_RTEXT_FILTER_VF = 0x1
_IFF_LOWER_UP = 0x10000
_LINK_FLAGS = struct.Struct("=16xBxHiII")  # struct nlmsghdr, struct ifinfomsg
_IFLA_STATS64 = 23
_IFLA_VF_MAC, _IFLA_VF_VLAN, _IFLA_VF_STATS = 1, 2, 8
# enum IFLA_VF_STATS_*; number 6 is padding
_VF_COUNTERS = {
    0: "rx_packets",
    1: "tx_packets",
    2: "rx_bytes",
    3: "tx_bytes",
    4: "broadcast",
    5: "multicast",
    7: "rx_dropped",
    8: "tx_dropped",
}
_VALUE = struct.Struct("=Q")
_MISSED = 15  # place of rx_missed_errors in struct rtnl_link_stats64
_LEAST = 16  # values of that struct that every kernel has


class Counters(NamedTuple):
    """What a network device has counted since it came to be; errors are none of the drops.

    `rx_dropped` has the frames that found no room in the card, as /proc/net/dev has them, too.
    """

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int


class VfCounters(NamedTuple):
    """What a PF has counted for a VF; None: this kernel does not tell.

    All are 0 if the driver does not count: the kernel does not tell one from the other
    (rtnl_fill_vfinfo() in net/core/rtnetlink.c).
    """

    rx_packets: int | None = None
    tx_packets: int | None = None
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    broadcast: int | None = None
    multicast: int | None = None
    rx_dropped: int | None = None
    tx_dropped: int | None = None


class Vf(NamedTuple):
    """A VF as its PF shows it: administrative MAC (vfs.NO_MAC if none), VLAN, and counters."""

    mac: str = ""
    vlan: int = 0
    counters: VfCounters = VfCounters()


class Pf(NamedTuple):
    """A PF's carrier, and its VFs by number; those that its driver leaves out are missing."""

    carrier: bool
    vfs: Mapping[int, Vf]


def of_vfs(sock: Socket, pf: str) -> Pf:
    """Return what a PF, by the name of its network device, shows of its VFs: one request for all.

    Raises KernelError: ENODEV if there is none.
    """
    answer = _ask(sock, pf, _RTEXT_FILTER_VF, f"reading the counters of the VFs of {pf!r}")
    *_, flags, _ = _LINK_FLAGS.unpack_from(answer)
    listed = {number: _vf(answer, begin, end) for number, begin, end in vfs.entries(answer)}
    return Pf(bool(flags & _IFF_LOWER_UP), listed)


def of_device(sock: Socket, name: str) -> Counters:
    """Return what a network device of the socket's namespace has counted.

    Raises KernelError: ENODEV if there is none, EBADMSG if the kernel has no 64-bit counters.
    """
    doing = f"reading the counters of {name!r}"
    answer = _ask(sock, name, 0, doing)
    for begin, end, kind in _attributes(answer, vfs.LINK_HEADERS, len(answer)):
        if kind == _IFLA_STATS64 and end - begin >= _LEAST * _VALUE.size:
            values = struct.unpack_from(f"={_LEAST}Q", answer, begin)
            counters = Counters(*values[: len(Counters._fields)])
            return counters._replace(rx_dropped=counters.rx_dropped + values[_MISSED])
    raise KernelError(errno.EBADMSG, doing)


def _ask(sock: Socket, name: str, mask: int, doing: str) -> bytes:
    message: Message = LinkMessage()
    message["attrs"] = [("IFLA_IFNAME", os.fsencode(name)), ("IFLA_EXT_MASK", mask)]
    answer: bytes = bytes(sock.get(_RTM_GETLINK, message, doing).data)
    return answer


def _vf(answer: bytes, begin: int, end: int) -> Vf:
    mac, vlan = "", 0
    counters: dict[str, int] = {}
    for at, until, kind in _attributes(answer, begin, end):
        if kind == _IFLA_VF_MAC and until - at >= 10:
            mac = answer[at + 4 : at + 10].hex(":")
        elif kind == _IFLA_VF_VLAN and until - at >= 8:
            (vlan,) = struct.unpack_from("=4xI", answer, at)
        elif kind == _IFLA_VF_STATS:
            for place, over, which in _attributes(answer, at, until):
                if which in _VF_COUNTERS and over - place == _VALUE.size:
                    (counters[_VF_COUNTERS[which]],) = _VALUE.unpack_from(answer, place)
    return Vf(mac, vlan, VfCounters(**counters))


def _attributes(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield begin and end of each attribute's value, and its type; what is cut off is left out."""
    for at, length, kind in vfs.walk(data, place):
        if at + length > end:
            return
        yield at + vfs.ATTRIBUTE.size, at + length, kind

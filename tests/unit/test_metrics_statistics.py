# SPDX-License-Identifier: Apache-2.0
"""The kernel's counters, read from answers as rtnl_fill_vfinfo() makes them (net/core/rtnetlink.c).

No driver at hand counts for VFs, or has so many. tests/namespaces/test_metrics.py has a real
kernel.
"""

import errno
import struct
from collections.abc import Mapping
from typing import Any

import pytest

from sriov_cni.kernel import statistics
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.messages import LinkMessage
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.statistics import Counters, Vf, VfCounters

MAC, VLAN, SPOOFCHK, STATS, TRUST = 1, 2, 4, 8, 9
PADDING = 6
# i40e and mlx5 give all eight; before Linux 4.16 there were no drops
NUMBERS = {0: 11, 1: 12, 2: 1 << 40, 3: 14, 4: 15, 5: 16, 7: 17, 8: 18}
COUNTED = VfCounters(11, 12, 1 << 40, 14, 15, 16, 17, 18)
LOWER_UP = 0x10000


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute; its length is cut to 16 bits, as the kernel does."""
    length = 4 + len(value)
    return struct.pack("=HH", length & 0xFFFF, kind) + value + bytes(-length % 4)


def vf(number: int, counters: Mapping[int, int] | None, *, padded: bool = False) -> bytes:
    """Return a VF's entry; `padded`: as on machines whose 64-bit values have to be aligned."""
    mac = bytes([2, 0, 0, 0, number >> 8, number & 255])
    entry = attribute(MAC, struct.pack("=I32s", number, mac))
    entry += attribute(VLAN, struct.pack("=III", number, number % 4095, 0))
    entry += attribute(13, bytes(32)) + attribute(12, bytes(24))  # broadcast address, VLANs
    for setting in (3, SPOOFCHK, 5, 7, TRUST):
        entry += attribute(setting, struct.pack("=II", number, 1))
    entry += attribute(6, struct.pack("=III", number, 0, 0))  # rates
    if counters is not None:
        pad = attribute(PADDING, b"") if padded else b""
        values = (pad + attribute(kind, struct.pack("=Q", n)) for kind, n in counters.items())
        entry += attribute(STATS, b"".join(values))
    return attribute(1, entry)


class Answering(Socket):
    """A socket whose kernel answers every request in the same way."""

    def __init__(self, attributes: bytes, flags: int = LOWER_UP) -> None:
        body = struct.pack("=BxHiII", 0, 1, 7, flags, 0) + attribute(3, b"eth1\0") + attributes
        self._answer = struct.pack("=IHHII", 16 + len(body), 16, 0, 1, 0) + body

    def get(self, kind: int, message: Any, doing: str) -> Any:
        answer = LinkMessage(self._answer)
        answer.decode()
        return answer


def pf(*vfs: bytes) -> Answering:
    """Return a socket that answers with a PF's list of VFs, and what comes after it."""
    return Answering(attribute(22, b"".join(vfs)) + attribute(43, attribute(2, b"\0")))


@pytest.mark.parametrize("padded", [False, True])
def test_the_counters_of_all_vfs_come_from_one_answer(padded: bool) -> None:
    other = {kind: 2 * n for kind, n in NUMBERS.items()}
    answer = statistics.of_vfs(pf(vf(0, NUMBERS, padded=padded), vf(3, other)), "eth1")
    assert answer.vfs == {
        0: Vf("02:00:00:00:00:00", 0, COUNTED),
        3: Vf("02:00:00:00:00:03", 3, VfCounters(*(2 * n for n in COUNTED if n is not None))),
    }


def test_a_counter_that_the_kernel_does_not_have_is_none() -> None:
    old = {kind: n for kind, n in NUMBERS.items() if kind < PADDING}
    answer = statistics.of_vfs(pf(vf(0, old), vf(1, None)), "eth1")
    assert answer.vfs[0].counters == COUNTED._replace(rx_dropped=None, tx_dropped=None)
    assert answer.vfs[1].counters == VfCounters()


@pytest.mark.parametrize("count", [256, 1000])
def test_a_list_that_is_longer_than_its_length_can_say_is_read_whole(count: int) -> None:
    vfs = [vf(number, {**NUMBERS, 0: number}) for number in range(count)]
    assert len(b"".join(vfs)) > 0xFFFF
    answer = statistics.of_vfs(pf(*vfs), "eth1")
    assert {number: seen.counters.rx_packets for number, seen in answer.vfs.items()} == {
        number: number for number in range(count)
    }
    assert {seen.mac for seen in answer.vfs.values()} == {
        f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(count)
    }


@pytest.mark.parametrize(("flags", "carrier"), [(LOWER_UP | 1, True), (1, False)])
def test_a_pf_without_vfs_shows_its_carrier(flags: int, carrier: bool) -> None:
    assert statistics.of_vfs(Answering(b"", flags), "eth1") == (carrier, {})


@pytest.mark.parametrize(
    "damage",
    [
        attribute(STATS, attribute(0, b"\1\0\0\0")),  # 32 bits
        attribute(STATS, struct.pack("=HHI", 0, 0, 0)),  # no length
        attribute(STATS, struct.pack("=HHQ", 400, 0, 5)),  # longer than the VF's entry
        attribute(MAC, b"\0\0\0\0\2"),
        struct.pack("=HHQ", 9999, STATS, 1),
    ],
)
def test_attributes_of_another_shape_are_passed_over(damage: bytes) -> None:
    number = attribute(SPOOFCHK, struct.pack("=II", 5, 1))
    answer = statistics.of_vfs(pf(attribute(1, number + damage), vf(6, NUMBERS)), "eth1")
    assert answer.vfs == {5: Vf(), 6: Vf("02:00:00:00:00:06", 6, COUNTED)}


def test_a_device_has_its_own_counters() -> None:
    values = [*range(1, 17), *range(100, 109)]  # struct rtnl_link_stats64 of a newer kernel
    sock = Answering(attribute(23, struct.pack("=25Q", *values)))
    assert statistics.of_device(sock, "net1") == Counters(1, 2, 3, 4, 5, 6, 7 + 16, 8)


@pytest.mark.parametrize("attributes", [b"", attribute(23, bytes(15 * 8))])
def test_a_device_without_counters_is_an_error(attributes: bytes) -> None:
    with pytest.raises(KernelError, match="reading the counters of 'net1'") as refused:
        statistics.of_device(Answering(attributes), "net1")
    assert refused.value.errno == errno.EBADMSG


@pytest.mark.parametrize("name", ["nothing-here", "\udcff", "x" * 40])
def test_what_is_not_there_is_an_error(name: str) -> None:
    for ask in (statistics.of_device, statistics.of_vfs):
        with pytest.raises(KernelError, match="reading the counters of"):
            ask(Socket(), name)

# SPDX-License-Identifier: Apache-2.0
"""The kernel's list of a PF's VFs: each entry is told by its number, however many there are.

The answers are made here as rtnl_fill_vf() and rtnl_fill_vfinfo() in net/core/rtnetlink.c make
them; no driver at hand leaves VFs out, or has so many.
"""

import errno
import struct
from typing import Any

import pytest

from sriov_cni.device import vf
from sriov_cni.device.pci import VfSlot
from sriov_cni.kernel import patience, vfs
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.messages import LinkMessage
from sriov_cni.kernel.netlink import Socket

_RTM_NEWLINK = 16
_STATISTICS = 100  # bytes that an entry has more where the kernel does not leave them out


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute; its length is cut to 16 bits, as the kernel does."""
    length = 4 + len(value)
    return struct.pack("=HH", length & 0xFFFF, kind) + value + bytes(-length % 4)


def entry(number: int, *, statistics: int = 0) -> bytes:
    """Return the entry of a VF whose MAC and VLAN tell its number."""
    mac = attribute(1, struct.pack("=I32s", number, bytes([2, 0, 0, 0, number >> 8, number & 255])))
    vlan = attribute(2, struct.pack("=III", number, number, 0))
    return attribute(1, mac + vlan + attribute(8, bytes(statistics)))


class Answering(Socket):
    """A socket whose kernel answers every request with a PF's list of VFs."""

    def __init__(self, listed: bytes) -> None:
        body = struct.pack("=BxHiII", 0, 1, 7, 0, 0) + attribute(3, b"eth1\0")
        body += attribute(21, struct.pack("=I", 400)) + attribute(22, listed)
        body += attribute(43, attribute(2, b"\0"))  # what comes after the list
        self._answer = struct.pack("=IHHII", 16 + len(body), _RTM_NEWLINK, 0, 1, 0) + body

    def get(self, kind: int, message: Any, doing: str) -> Any:
        answer = LinkMessage(self._answer)
        answer.decode()
        return answer


def vlan_of(listed: bytes, index: int) -> int | None:
    found = vfs.attributes(Answering(listed), "eth1", index)
    assert found is not None
    assert found.mac == f"02:00:00:00:{index >> 8:02x}:{index & 255:02x}"
    return found.vlan


def test_a_vf_is_found_by_its_number_where_others_are_left_out() -> None:
    listed = b"".join(entry(number) for number in (0, 1, 3, 4, 6))
    assert [vlan_of(listed, number) for number in (0, 1, 3, 4, 6)] == [0, 1, 3, 4, 6]


@pytest.mark.parametrize("missing", [2, 5, 7])
def test_a_vf_that_is_left_out_is_busy(missing: int) -> None:
    listed = b"".join(entry(number) for number in (0, 1, 3, 4, 6))
    with pytest.raises(KernelError) as refused:
        vfs.attributes(Answering(listed), "eth1", missing)
    assert refused.value.errno == errno.EBUSY
    assert str(refused.value).startswith(f"looking for VF {missing} among those that eth1 lists")


def test_a_list_without_any_is_busy() -> None:
    with pytest.raises(KernelError):
        vfs.attributes(Answering(b""), "eth1", 0)


@pytest.mark.parametrize(("count", "statistics"), [(400, _STATISTICS), (256, 200), (1200, 0)])
def test_a_list_that_is_longer_than_its_length_can_say_is_read_whole(
    count: int, statistics: int
) -> None:
    listed = b"".join(entry(number, statistics=statistics) for number in range(count))
    assert len(listed) > 0xFFFF
    for number in (0, 33, 221, 222, count - 1):
        assert vlan_of(listed, number) == number


def test_a_vf_that_stays_left_out_is_an_error_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.05)
    with pytest.raises(KernelError, match="looking for VF 2"):
        vf.attributes(Answering(entry(0) + entry(1)), VfSlot("eth1", 2))

# SPDX-License-Identifier: Apache-2.0
"""The framing of the kernel's answers: what is no frame ends the wait for one."""

import errno
import socket
import struct

import pytest

from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.messages import LinkMessage
from sriov_cni.kernel.netlink import Socket


class Answering(Socket):
    """A socket that gets given datagrams for answers, and nothing after them."""

    def __init__(self, *datagrams: bytes) -> None:
        self._socket, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._sequence = 0
        for datagram in datagrams:
            kernel.send(datagram)
        self._kernel = kernel


def frame(length: int, kind: int, body: bytes = b"", sequence: int = 1) -> bytes:
    return struct.pack("=IHHII", length, kind, 0, sequence, 0) + body


@pytest.mark.parametrize("length", [0, 1, 15])
@pytest.mark.parametrize("sequence", [1, 2], ids=["ours", "a stranger's"])
def test_a_frame_shorter_than_its_header_is_an_error(length: int, sequence: int) -> None:
    sock = Answering(frame(length, 16, sequence=sequence))
    with pytest.raises(KernelError, match="asking") as caught:
        sock.dump(18, LinkMessage(), "asking")
    assert caught.value.errno == errno.EBADMSG


def test_half_a_header_at_the_end_is_passed_over() -> None:
    sock = Answering(frame(20, 2, struct.pack("=i", 0), sequence=7) + b"\0" * 8, frame(16, 3))
    assert sock.dump(18, LinkMessage(), "asking") == []


@pytest.mark.parametrize("length", [16, 20, 1 << 31, (1 << 32) - 1])
def test_a_refusal_of_any_length_is_one(length: int) -> None:
    sock = Answering(frame(length, 2, struct.pack("=i", -errno.EPERM)))
    if length == 16:
        sock.change(16, LinkMessage(), 0, "asking")  # no room for an error: an acknowledgement
        return
    with pytest.raises(KernelError, match="EPERM"):
        sock.change(16, LinkMessage(), 0, "asking")

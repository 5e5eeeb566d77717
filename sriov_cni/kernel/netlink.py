# SPDX-License-Identifier: Apache-2.0
"""A netlink socket: send one pyroute2 message, get the kernel's answer.

pyroute2's message classes do the encoding; its socket classes are left alone because importing
them costs ten times what a whole ADD may take (docs/performance.md).
Wire format: RFC 3549 and include/uapi/linux/netlink.h.
"""

import errno
import socket
import struct
from contextlib import suppress
from typing import Any

from sriov_cni.kernel.errors import KernelError, as_change, as_kernel_errors

Message = Any  # pyroute2 ships no types; its messages stay within kernel/

_NETLINK_ROUTE = 0
GENERIC = 16  # NETLINK_GENERIC
_SOL_NETLINK = 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 10, 11, 12
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_DUMP = 0x1, 0x4, 0x300
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_BIGGEST_ANSWER = 1 << 20  # bytes; a PF with 256 VFs answers with about 100 KiB


class Socket:
    """A socket bound to the network namespace that the thread is in when it is made.

    `family` is what it speaks: rtnetlink, or GENERIC. All methods raise KernelError.
    """

    def __init__(self, family: int = _NETLINK_ROUTE) -> None:
        flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        with as_kernel_errors("opening a netlink socket"):
            self._socket = socket.socket(socket.AF_NETLINK, flags, family)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            # an older kernel does not know it: fewer words in errors, longer dumps
            with suppress(OSError):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket; it no longer keeps its namespace alive."""
        self._socket.close()

    def fileno(self) -> int:
        """Return its descriptor, for requests about devices that are made by ioctl(2)."""
        return self._socket.fileno()

    def change(self, kind: int, message: Message, flags: int, doing: str) -> None:
        """Send a request that changes something and wait for its acknowledgement."""
        with as_change(doing):
            self._ask(kind, message, flags | _NLM_F_ACK, doing)

    def get(self, kind: int, message: Message, doing: str) -> Message:
        """Send a request for one object and return it."""
        return self._ask(kind, message, 0, doing, single=True)[0]

    def dump(self, kind: int, message: Message, doing: str) -> list[Message]:
        """Send a request for all objects that match the message and return them."""
        return self._ask(kind, message, _NLM_F_DUMP, doing)

    def _ask(
        self, kind: int, message: Message, flags: int, doing: str, *, single: bool = False
    ) -> list[Message]:
        self._sequence += 1
        message["header"]["type"] = kind
        message["header"]["flags"] = _NLM_F_REQUEST | flags
        message["header"]["sequence_number"] = self._sequence
        message.encode()
        with as_kernel_errors(doing):
            self._socket.send(message.data)
            return self._answers(type(message), doing, single)

    def _answers(self, shape: type[Message], doing: str, single: bool) -> list[Message]:
        answers: list[Message] = []
        while True:
            data = self._socket.recv(_BIGGEST_ANSWER)
            offset = 0
            while offset + _HEADER.size <= len(data):
                length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
                if length < _HEADER.size:  # it would be looked at for ever
                    raise KernelError(errno.EBADMSG, doing)
                if sequence == self._sequence:
                    if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                        _raise_if_refused(data[offset : offset + length], flags, doing)
                        return answers
                    answer = shape(data[offset : offset + length])
                    answer.decode()
                    answers.append(answer)
                    if single:
                        return answers
                offset += (length + 3) & ~3


def _raise_if_refused(message: bytes, flags: int, doing: str) -> None:
    """Raise KernelError if an NLMSG_ERROR or NLMSG_DONE carries an error (struct nlmsgerr)."""
    number = -struct.unpack_from("=i", message, _HEADER.size)[0] if len(message) >= 20 else 0
    if number == 0:
        return
    said = ""
    offset = _HEADER.size + 4 + _HEADER.size  # past the error and the capped copy of the request
    while flags & _NLM_F_ACK_TLVS and offset + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, offset)
        if kind == _NLMSGERR_ATTR_MSG:
            said = message[offset + 4 : offset + length].rstrip(b"\0").decode(errors="replace")
        offset += max((length + 3) & ~3, 4)
    raise KernelError(number, doing, said)

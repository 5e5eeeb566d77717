# SPDX-License-Identifier: Apache-2.0
"""What kernels answer about eswitch modes is read right, refusals too.

The messages are put together here as devlink_nl_eswitch_fill() and ctrl_fill_info() do it
(net/devlink/dev.c, net/netlink/genetlink.c). A driver with modes that refuses none is in
tests/lab/test_devlink.py.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable

import pytest

from sriov_cni.kernel import devlink
from sriov_cni.kernel.errors import KernelError

FAMILY = 20
_NLMSG_ERROR = 2
MODE, INLINE, ENCAP = 25, 26, 62  # DEVLINK_ATTR_ESWITCH_*
PF = "0000:3b:00.0"


def attribute(kind: int, content: bytes) -> bytes:
    length = 4 + len(content)
    return struct.pack("=HH", length, kind) + content + b"\0" * (-length % 4)


def message(kind: int, sequence: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, sequence, 0) + payload


def of_family(sequence: int) -> bytes:
    content = attribute(2, b"devlink\0") + attribute(1, struct.pack("=H", FAMILY))
    content += attribute(3, struct.pack("=I", 1)) + attribute(5, struct.pack("=I", 181))
    return message(0x10, sequence, b"\1\2\0\0" + content)


def of_mode(sequence: int, mode: int) -> bytes:
    content = attribute(1, b"pci\0") + attribute(2, PF.encode() + b"\0")
    content += attribute(MODE, struct.pack("=H", mode)) + attribute(INLINE, b"\0")
    return message(FAMILY, sequence, b"\x1d\1\0\0" + content + attribute(ENCAP, b"\1"))


def refusing(number: int, said: str = "") -> Callable[[int], bytes]:
    """Return what refuses a request, with the driver's words (NLMSGERR_ATTR_MSG)."""

    def answer(sequence: int) -> bytes:
        payload = struct.pack("=i", -number) + struct.pack("=IHHII", 16, FAMILY, 5, sequence, 0)
        words = attribute(1, said.encode() + b"\0") if said else b""
        flags = 0x300 if said else 0x100  # NLM_F_CAPPED, NLM_F_ACK_TLVS
        whole = struct.pack("=IHHII", 16 + len(payload + words), _NLMSG_ERROR, flags, sequence, 0)
        return whole + payload + words

    return answer


class Kernel:
    """The other end of a socket, which answers the first request and the second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Callable[[int], bytes]) -> None:
        self.asked: list[bytes] = []
        kernel = self

        class Fake(socket.socket):
            def __init__(self, *_: object) -> None:
                super().__init__(socket.AF_UNIX, socket.SOCK_DGRAM)

            def setsockopt(self, *_: object) -> None:
                """Netlink's options are none of a UNIX socket's."""

            def bind(self, _: object) -> None:
                """Nor has it netlink's address."""

            def send(self, data: bytes, *_: object) -> int:  # type: ignore[override]
                kernel.asked.append(bytes(data))
                return len(data)

            def recv(self, *_: object) -> bytes:
                (sequence,) = struct.unpack_from("=I", kernel.asked[-1], 8)
                return answers[len(kernel.asked) - 1](sequence)

        monkeypatch.setattr(socket, "socket", Fake)


@pytest.mark.parametrize(("number", "mode"), [(0, "legacy"), (1, "switchdev"), (7, None)])
def test_a_mode_is_read(monkeypatch: pytest.MonkeyPatch, number: int, mode: str | None) -> None:
    kernel = Kernel(monkeypatch, of_family, lambda sequence: of_mode(sequence, number))
    assert devlink.mode("pci", PF) == mode
    (kind,) = struct.unpack_from("=H", kernel.asked[1], 4)
    assert kind == FAMILY


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENODEV, errno.EINVAL])
def test_a_driver_that_knows_no_modes_has_none(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    Kernel(monkeypatch, of_family, refusing(number))
    assert devlink.mode("pci", PF) is None


def test_a_kernel_without_devlink_knows_no_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch, refusing(errno.ENOENT))
    assert devlink.mode("pci", PF) is None


def test_a_mode_that_cannot_be_asked_for_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch, of_family, refusing(errno.EPERM))
    with pytest.raises(KernelError, match=os.strerror(errno.EPERM)):
        devlink.mode("pci", PF)


def test_a_refused_mode_has_the_drivers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """mlx5's, while representors are in use (mlx5_eswitch_offloads.c)."""
    said = "Can't change mode when flows are configured"
    Kernel(monkeypatch, of_family, refusing(errno.EOPNOTSUPP, said))
    with pytest.raises(KernelError) as caught:
        devlink.set_mode("pci", PF, "legacy")
    assert str(caught.value).endswith(f"(ENOTSUP), kernel says: {said}")
    assert str(caught.value).startswith(f"setting the eswitch mode legacy of {PF}: ")


def test_a_mode_that_was_set_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch, of_family, refusing(0))
    devlink.set_mode("pci", PF, "switchdev")
    assert kernel.asked[1].endswith(attribute(MODE, struct.pack("=H", 1)))

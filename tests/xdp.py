# SPDX-License-Identifier: Apache-2.0
"""Attach an XDP program that drops everything, as a pod with the capabilities may.

    python xdp.py IFNAME skb|drv          by netlink: it stays until it is detached
    python xdp.py IFNAME skb|drv link     by a BPF link: it stays as long as this process

bpf(2); include/uapi/linux/bpf.h, if_link.h. The second form says "attached" and waits to be killed.
"""

import ctypes
import os
import signal
import socket
import struct
import sys

_BPF, _PROG_LOAD, _LINK_CREATE = 321, 5, 28  # x86-64's number of bpf(2), and two of its commands
_PROG_TYPE_XDP, _ATTACH_TYPE_XDP = 6, 37
_DROP = struct.pack("=BBhi", 0xB7, 0, 0, 1) + struct.pack("=BBhi", 0x95, 0, 0, 0)
_MODES = {"skb": 0x2, "drv": 0x4}
_RTM_SETLINK, _NLM_F_REQUEST_ACK = 19, 0x5
_IFLA_XDP, _IFLA_XDP_FD, _IFLA_XDP_FLAGS, _NESTED = 43, 1, 3, 0x8000


def _bpf(command: int, attributes: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = attributes.ljust(128, b"\0")
    fd = int(libc.syscall(_BPF, command, attributes, len(attributes)))
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}")
    return fd


def _load() -> int:
    instructions, licence = ctypes.create_string_buffer(_DROP), ctypes.create_string_buffer(b"GPL")
    places = (ctypes.addressof(instructions), ctypes.addressof(licence))
    return _bpf(_PROG_LOAD, struct.pack("=IIQQ", _PROG_TYPE_XDP, len(_DROP) // 8, *places))


def _attach(program: int, index: int, mode: str) -> None:
    nested = struct.pack("=HHi", 8, _IFLA_XDP_FD, program)
    nested += struct.pack("=HHI", 8, _IFLA_XDP_FLAGS, _MODES[mode])
    body = struct.pack("=BxHiII", 0, 0, index, 0, 0)
    body += struct.pack("=HH", 4 + len(nested), _IFLA_XDP | _NESTED) + nested
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        header = struct.pack("=IHHII", 16 + len(body), _RTM_SETLINK, _NLM_F_REQUEST_ACK, 1, 0)
        netlink.send(header + body)
        (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
    if error:
        raise OSError(-error, "RTM_SETLINK with IFLA_XDP")


def main(ifname: str, mode: str, *link: str) -> None:
    """Attach the program."""
    program, index = _load(), socket.if_nametoindex(ifname)
    if not link:
        _attach(program, index, mode)
        return
    held = _bpf(_LINK_CREATE, struct.pack("=IIII", program, index, _ATTACH_TYPE_XDP, _MODES[mode]))
    os.set_inheritable(held, True)
    print("attached", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])

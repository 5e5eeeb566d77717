# SPDX-License-Identifier: Apache-2.0
"""IP addresses of network devices (rtnetlink(7), RTM_*ADDR). All functions raise KernelError."""

import socket
from typing import NamedTuple

from sriov_cni.kernel.links import Link
from sriov_cni.kernel.messages import FAMILIES, SCOPE_GLOBAL, AddressMessage
from sriov_cni.kernel.netlink import Message, Socket

_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_NLM_F_EXCL, _NLM_F_CREATE = 0x200, 0x400
_IFA_F_OPTIMISTIC = 0x4  # RFC 4429: usable while duplicate address detection still runs
_IFA_F_DADFAILED, _IFA_F_TENTATIVE, _IFA_F_PERMANENT = 0x8, 0x40, 0x80
_LONGEST_WITH_BROADCAST = 30  # a prefix; longer ones have none (RFC 3021)


class InterfaceAddress(NamedTuple):
    """An address with its prefix length and scope, as configured on a device.

    `tentative`: duplicate address detection still runs, or has failed; `duplicate`: it has failed,
    a neighbour has the address; `optimistic`: it runs, and the address is used already.
    `permanent`: it has no lifetime, as addresses have that router advertisements or DHCP gave.
    """

    address: str
    prefix_length: int
    scope: int = SCOPE_GLOBAL
    tentative: bool = False
    duplicate: bool = False
    optimistic: bool = False
    permanent: bool = True


def add(sock: Socket, link: Link, version: int, address: InterfaceAddress) -> None:
    """Give a device an address, and an IPv4 one its broadcast address, as other plugins do.

    An IPv6 address is usable at once where the kernel has that (optimistic).
    """
    message = AddressMessage()
    message["family"] = FAMILIES[version]
    message["prefixlen"] = address.prefix_length
    message["index"] = link.ifindex
    message["scope"] = address.scope
    message["attrs"] = [("IFA_LOCAL", address.address), ("IFA_ADDRESS", address.address)]
    if version == 6:
        message["flags"] = _IFA_F_OPTIMISTIC
    elif address.prefix_length <= _LONGEST_WITH_BROADCAST:
        message["attrs"].append(("IFA_BROADCAST", _broadcast(address)))
    doing = f"adding address {address.address}/{address.prefix_length} to {link.name}"
    sock.change(_RTM_NEWADDR, message, _NLM_F_CREATE | _NLM_F_EXCL, doing)


def list_of(sock: Socket, link_index: int) -> list[InterfaceAddress]:
    """Return the addresses of one device."""
    message = AddressMessage()
    message["index"] = link_index
    answers = sock.dump(_RTM_GETADDR, message, "listing addresses")
    # kernels before 4.20 list all devices'
    return [_address(answer) for answer in answers if answer["index"] == link_index]


def by_link(sock: Socket) -> dict[int, list[InterfaceAddress]]:
    """Return the addresses of all devices of the socket's namespace, by the devices' indexes."""
    found: dict[int, list[InterfaceAddress]] = {}
    for answer in sock.dump(_RTM_GETADDR, AddressMessage(), "listing addresses"):
        found.setdefault(answer["index"], []).append(_address(answer))
    return found


def _address(answer: Message) -> InterfaceAddress:
    return InterfaceAddress(
        answer.get_attr("IFA_LOCAL") or answer.get_attr("IFA_ADDRESS"),
        answer["prefixlen"],
        answer["scope"],
        tentative=bool(answer["flags"] & _IFA_F_TENTATIVE),
        duplicate=bool(answer["flags"] & _IFA_F_DADFAILED),
        optimistic=bool(answer["flags"] & _IFA_F_OPTIMISTIC),
        permanent=bool(answer["flags"] & _IFA_F_PERMANENT),
    )


def _broadcast(address: InterfaceAddress) -> str:
    hosts = 0xFFFFFFFF >> address.prefix_length
    number = int.from_bytes(socket.inet_aton(address.address), "big") | hosts
    return socket.inet_ntoa(number.to_bytes(4, "big"))

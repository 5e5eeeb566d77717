# SPDX-License-Identifier: Apache-2.0
"""Virtual functions as their PF's driver administers them.

IFLA_VFINFO_LIST of RTM_GETLINK and RTM_SETLINK on the PF (include/uapi/linux/if_link.h).
"""

import errno
import struct
from collections.abc import Iterator
from typing import NamedTuple

from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.messages import LinkMessage
from sriov_cni.kernel.netlink import Message, Socket

_RTM_GETLINK, _RTM_SETLINK = 18, 19
_RTEXT_FILTER_VF, _RTEXT_FILTER_SKIP_STATS = 0x1, 0x8
_IFLA_VFINFO_LIST, _IFLA_VF_INFO = 22, 1
LINK_HEADERS = 32  # bytes: struct nlmsghdr and struct ifinfomsg
ATTRIBUTE = struct.Struct("=HH")  # length, type
_NLA_TYPE_MASK = 0x3FFF  # without the flags for "nested" and "network byte order"
_ETHERTYPES = {"802.1q": 0x8100, "802.1ad": 0x88A8}  # include/uapi/linux/if_ether.h
NO_MAC = "00:00:00:00:00:00"
# The legal values of an attribute. They stand here only.
VLAN_PROTOCOLS = tuple(_ETHERTYPES)
LINK_STATES = ("auto", "enable", "disable")  # enum ifla_vf_link_state_*, in its order
HIGHEST_VLAN, HIGHEST_QOS = 4094, 7
HIGHEST_RATE = (1 << 32) - 2  # Mbit/s; all ones mean "unknown"


class VfAttributes(NamedTuple):
    """The attributes that a PF enforces for a VF; None: unknown to the driver, or not asked for.

    `mac` may be NO_MAC: the VF chooses. Rates are in Mbit/s, 0 is unlimited. `vlan` 0 is untagged.
    """

    mac: str | None = None
    vlan: int | None = None
    vlan_qos: int | None = None
    vlan_proto: str | None = None
    spoofchk: bool | None = None
    trust: bool | None = None
    link_state: str | None = None
    min_tx_rate: int | None = None
    max_tx_rate: int | None = None

    @property
    def tag(self) -> tuple[int | None, int | None, str | None]:
        """The tag that the PF puts on frames: VLAN, QoS and protocol, set in one request."""
        return self.vlan, self.vlan_qos, self.vlan_proto


def attributes(sock: Socket, pf: str, index: int) -> VfAttributes | None:
    """Return a VF's attributes, None where the PF's driver has no VF administration.

    The kernel leaves a VF out whose driver answers with an error (rtnl_fill_vfinfo() in
    net/core/rtnetlink.c), as ice does while the VF is reset: that is KernelError (EBUSY).
    """
    message = LinkMessage()
    message["attrs"] = [
        ("IFLA_IFNAME", pf),
        ("IFLA_EXT_MASK", _RTEXT_FILTER_VF | _RTEXT_FILTER_SKIP_STATS),
    ]
    answer = sock.get(_RTM_GETLINK, message, f"reading the VFs of {pf}")
    if answer.get_attr("IFLA_VFINFO_LIST") is None:
        return None
    info = _entry(answer.data, index)
    if info is None:
        raise KernelError(errno.EBUSY, f"looking for VF {index} among those that {pf} lists")
    return _attributes(info)


def _entry(answer: bytes, index: int) -> Message | None:
    """Return a VF's entry in the list, None if it is not there."""
    place = next((at for number, at, _ in entries(answer) if number == index), None)
    if place is None:
        return None
    start = place - ATTRIBUTE.size
    length, _ = ATTRIBUTE.unpack_from(answer, start)
    info = LinkMessage._VfList._VfInfo(answer[start : start + length])
    info.decode()
    return info


def entries(answer: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each VF that an answer lists, and where its attributes begin and end.

    Entries are told by their number, which each of their attributes begins with. They are walked
    through here, and not by pyroute2, because the list may be longer than it says: its length has
    16 bits, and 256 VFs fill more before Linux 6.2, which was the first to leave out statistics.
    """
    listed = (at for at, _, kind in walk(answer, LINK_HEADERS) if kind == _IFLA_VFINFO_LIST)
    for entry, length, kind in walk(answer, next(listed, len(answer)) + ATTRIBUTE.size):
        if kind != _IFLA_VF_INFO:
            return  # the list has ended
        (number,) = struct.unpack_from("=I", answer, entry + 2 * ATTRIBUTE.size)
        yield number, entry + ATTRIBUTE.size, entry + length


def walk(data: bytes, place: int) -> Iterator[tuple[int, int, int]]:
    """Yield place, length and type of each attribute from a place on (struct nlattr)."""
    while place + 3 * ATTRIBUTE.size <= len(data):  # as much as the number of an entry takes
        length, kind = ATTRIBUTE.unpack_from(data, place)
        yield place, length, kind & _NLA_TYPE_MASK
        place += max(length + 3 & ~3, ATTRIBUTE.size)


def set_mac(sock: Socket, pf: str, index: int, mac: str) -> None:
    """Set the administrative MAC; NO_MAC leaves the choice to the VF."""
    _set(sock, pf, index, f"MAC {mac}", "IFLA_VF_MAC", {"mac": bytes.fromhex(mac.replace(":", ""))})


def set_vlan(sock: Socket, pf: str, index: int, vlan: int, qos: int, proto: str) -> None:
    """Set the VLAN the PF tags the VF's frames with, its priority (0-7) and its protocol."""
    tag = {"vf": index, "vlan": vlan, "qos": qos, "proto": _ETHERTYPES[proto]}
    value = {"attrs": [("IFLA_VF_VLAN_INFO", tag)]}
    _set(sock, pf, index, f"VLAN {vlan} (QoS {qos}, {proto})", "IFLA_VF_VLAN_LIST", value)


def set_spoofchk(sock: Socket, pf: str, index: int, on: bool) -> None:
    """Set whether the PF drops frames with another source MAC than the VF's."""
    _set(sock, pf, index, f"spoofchk {_on(on)}", "IFLA_VF_SPOOFCHK", {"setting": int(on)})


def set_trust(sock: Socket, pf: str, index: int, on: bool) -> None:
    """Set whether the VF may change its own MAC, filters and promiscuity."""
    _set(sock, pf, index, f"trust {_on(on)}", "IFLA_VF_TRUST", {"setting": int(on)})


def set_link_state(sock: Socket, pf: str, index: int, state: str) -> None:
    """Set whether the VF's carrier follows the PF ("auto") or is forced."""
    value = {"setting": LINK_STATES.index(state)}
    _set(sock, pf, index, f"link_state {state}", "IFLA_VF_LINK_STATE", value)


def set_rates(sock: Socket, pf: str, index: int, lowest: int, highest: int) -> None:
    """Set the guaranteed and the greatest transmit rate in Mbit/s; 0 is no limit."""
    value = {"min_tx_rate": lowest, "max_tx_rate": highest}
    _set(sock, pf, index, f"tx rate {lowest} to {highest} Mbit/s", "IFLA_VF_RATE", value)


def _on(value: bool) -> str:
    return "on" if value else "off"


def _set(sock: Socket, pf: str, index: int, what: str, attribute: str, value: Message) -> None:
    if "attrs" not in value:
        value = {"vf": index, **value}
    message = LinkMessage()
    vf = ("IFLA_VF_INFO", {"attrs": [(attribute, value)]})
    message["attrs"] = [("IFLA_IFNAME", pf), ("IFLA_VFINFO_LIST", {"attrs": [vf]})]
    sock.change(_RTM_SETLINK, message, 0, f"setting {what} for VF {index} of {pf}")


def _attributes(info: Message) -> VfAttributes:
    def value(attribute: str, field: str) -> int | None:
        found = info.get_attr(attribute)
        # drivers fill in -1 for what they do not know (rtnl_fill_vfinfo() in net/core/rtnetlink.c)
        return None if found is None or found[field] == 0xFFFFFFFF else int(found[field])

    def flag(attribute: str) -> bool | None:
        found = value(attribute, "setting")
        return None if found is None else bool(found)

    state = value("IFLA_VF_LINK_STATE", "setting")
    tags = info.get_attr("IFLA_VF_VLAN_LIST")
    tag = tags["attrs"][0][1] if tags is not None else info.get_attr("IFLA_VF_VLAN")
    ethertype = tag["proto"] if tags is not None else _ETHERTYPES["802.1q"]
    return VfAttributes(
        mac=info.get_attr("IFLA_VF_MAC")["mac"][:6].hex(":"),
        vlan=tag["vlan"],
        vlan_qos=tag["qos"],
        vlan_proto="802.1ad" if ethertype == _ETHERTYPES["802.1ad"] else "802.1q",
        spoofchk=flag("IFLA_VF_SPOOFCHK"),
        trust=flag("IFLA_VF_TRUST"),
        link_state=LINK_STATES[state] if state is not None and state < len(LINK_STATES) else None,
        min_tx_rate=value("IFLA_VF_RATE", "min_tx_rate"),
        max_tx_rate=value("IFLA_VF_RATE", "max_tx_rate"),
    )

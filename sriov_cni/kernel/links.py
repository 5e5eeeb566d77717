# SPDX-License-Identifier: Apache-2.0
"""Network devices: look one up, change it, move it to another namespace.

rtnetlink(7); attributes: include/uapi/linux/if_link.h. All functions raise KernelError.
"""

import errno
from typing import NamedTuple

from sriov_cni.kernel.messages import LinkMessage
from sriov_cni.kernel.netlink import KernelError, Message, Socket

_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWLINKPROP, _RTM_DELLINKPROP = 108, 109
_NLM_F_EXCL, _NLM_F_CREATE, _NLM_F_APPEND = 0x200, 0x400, 0x800
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
ETHERNET, INFINIBAND = 1, 32  # include/uapi/linux/if_arp.h
_RTEXT_FILTER_SKIP_STATS = 0x8
_LONGEST_NAME = 15  # bytes; IFNAMSIZ - 1


class Link(NamedTuple):
    """A network device as the kernel describes it.

    `kind` is ETHERNET or another ARPHRD_* number. `parent` is the PCI address of the device behind
    it, empty where the kernel names none (before Linux 5.14, and for virtual devices). `master` is
    the index of a bond or bridge it belongs to. `alternative_names` are sorted: the kernel's order
    is that of their adding.
    """

    ifindex: int
    name: str
    mac: str
    mtu: int
    up: bool
    carrier: bool
    kind: int
    parent: str = ""
    master: int | None = None
    alternative_names: tuple[str, ...] = ()


def find(sock: Socket, name: str) -> Link | None:
    """Return the device with this name or alternative name, None if there is none."""
    return _find(sock, 0, name)


def get(sock: Socket, index: int) -> Link | None:
    """Return the device with this index, None if there is none."""
    return _find(sock, index, "")


def everything(sock: Socket) -> list[Link]:
    """Return all devices of the socket's namespace: for pods, never for a host."""
    return [_link(answer) for answer in sock.dump(_RTM_GETLINK, _query(0, ""), "listing devices")]


def set_up(sock: Socket, link: Link, up: bool) -> None:
    """Bring a device up or down."""
    _change(sock, link, f"setting {link.name} {'up' if up else 'down'}", up=up)


def set_mac(sock: Socket, link: Link, mac: str) -> None:
    """Set the address a device uses."""
    _change(sock, link, f"setting the MAC of {link.name} to {mac}", IFLA_ADDRESS=mac)


def set_mtu(sock: Socket, link: Link, mtu: int) -> None:
    """Set a device's MTU in bytes."""
    _change(sock, link, f"setting the MTU of {link.name} to {mtu}", IFLA_MTU=mtu)


def rename(sock: Socket, link: Link, name: str) -> None:
    """Rename a device; drivers and kernels before 6.2 want it down."""
    _change(sock, link, f"renaming {link.name} to {name}", IFLA_IFNAME=name)


def move(sock: Socket, link: Link, namespace: int, name: str, *, up: bool) -> None:
    """Move a device to another namespace under a new name, and bring it up there if asked.

    One message: if one of its present names is taken there, it fails before anything changed, but
    renaming and bringing up come after the move; if they fail, the device stays there.
    """
    _change(
        sock,
        link,
        f"moving {link.name} to another network namespace as {name}",
        up=True if up else None,
        IFLA_NET_NS_FD=namespace,
        IFLA_IFNAME=name,
    )


def add_alternative_name(sock: Socket, link: Link, name: str) -> None:
    """Give a device one more alternative name."""
    flags = _NLM_F_CREATE | _NLM_F_EXCL | _NLM_F_APPEND
    _alternative_name(sock, _RTM_NEWLINKPROP, flags, link, name, "adding")


def remove_alternative_name(sock: Socket, link: Link, name: str) -> None:
    """Take one of its alternative names from a device."""
    _alternative_name(sock, _RTM_DELLINKPROP, 0, link, name, "removing")


def _alternative_name(
    sock: Socket, kind: int, flags: int, link: Link, name: str, verb: str
) -> None:
    message = LinkMessage()
    message["index"] = link.ifindex
    message["attrs"] = [("IFLA_PROP_LIST", {"attrs": [("IFLA_ALT_IFNAME", name)]})]
    sock.change(kind, message, flags, f"{verb} alternative name {name} of {link.name}")


def _query(index: int, name: str) -> Message:
    message = LinkMessage()
    message["index"] = index
    message["attrs"] = [("IFLA_EXT_MASK", _RTEXT_FILTER_SKIP_STATS)]
    if name:  # the first finds alternative names, too, but takes only names that a device can have
        attribute = "IFLA_IFNAME" if len(name.encode()) <= _LONGEST_NAME else "IFLA_ALT_IFNAME"
        message["attrs"].append((attribute, name))
    return message


def _find(sock: Socket, index: int, name: str) -> Link | None:
    try:
        return _link(sock.get(_RTM_GETLINK, _query(index, name), f"looking up {name or index}"))
    except KernelError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def _link(answer: Message) -> Link:
    return Link(
        ifindex=answer["index"],
        name=answer.get_attr("IFLA_IFNAME"),
        mac=answer.get_attr("IFLA_ADDRESS") or "",
        mtu=answer.get_attr("IFLA_MTU"),
        up=bool(answer["flags"] & _IFF_UP),
        carrier=bool(answer["flags"] & _IFF_LOWER_UP),
        kind=answer["ifi_type"],
        parent=answer.get_attr("IFLA_PARENT_DEV_NAME") or "",
        master=answer.get_attr("IFLA_MASTER"),
        alternative_names=_alternative_names(answer),
    )


def _alternative_names(answer: Message) -> tuple[str, ...]:
    properties = answer.get_attr("IFLA_PROP_LIST")
    return tuple(sorted(properties.get_attrs("IFLA_ALT_IFNAME"))) if properties is not None else ()


def _change(
    sock: Socket, link: Link, doing: str, up: bool | None = None, **attributes: str | int
) -> None:
    message = LinkMessage()
    message["index"] = link.ifindex
    if up is not None:
        message["flags"], message["change"] = (_IFF_UP if up else 0), _IFF_UP
    message["attrs"] = list(attributes.items())
    sock.change(_RTM_NEWLINK, message, 0, doing)

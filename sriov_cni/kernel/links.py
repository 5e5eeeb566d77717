# SPDX-License-Identifier: Apache-2.0
"""Network devices: look one up, change it, move it to another namespace.

rtnetlink(7); attributes: include/uapi/linux/if_link.h. All functions raise KernelError.
"""

import errno
import fcntl
import struct
from typing import Any, NamedTuple

from sriov_cni.kernel.errors import KernelError, as_kernel_errors
from sriov_cni.kernel.messages import LinkMessage
from sriov_cni.kernel.netlink import Message, Socket

_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWLINKPROP, _RTM_DELLINKPROP = 108, 109
_NLM_F_EXCL, _NLM_F_CREATE, _NLM_F_APPEND = 0x200, 0x400, 0x800
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
NOARP, PROMISC, ALLMULTI, MULTICAST = 0x80, 0x100, 0x200, 0x1000  # IFF_*, include/uapi/linux/if.h
# What a user may set of them: IFF_DEBUG, NOTRAILERS, PORTSEL, AUTOMEDIA and DYNAMIC besides those.
_SETTABLE_FLAGS = 0x4 | 0x20 | NOARP | PROMISC | ALLMULTI | MULTICAST | 0x2000 | 0x4000 | 0x8000
ETHERNET, INFINIBAND = 1, 32  # include/uapi/linux/if_arp.h
_RTEXT_FILTER_SKIP_STATS = 0x8
_LONGEST_NAME = 15  # bytes; IFNAMSIZ - 1
_SIOCETHTOOL, _ETHTOOL_GDRVINFO = 0x8946, 0x3
_DRIVER_INFO, _BUS_INFO = 196, slice(100, 132)  # struct ethtool_drvinfo (linux/ethtool.h)
_ATTRIBUTES = {
    "broadcast": "IFLA_BROADCAST",
    "queue_length": "IFLA_TXQLEN",
    "link_mode": "IFLA_LINKMODE",
    "alias": "IFLA_IFALIAS",
    "group": "IFLA_GROUP",
    "gso_max_size": "IFLA_GSO_MAX_SIZE",  # sets gso_ipv4_max_size as well, which comes after it
    "gso_max_segs": "IFLA_GSO_MAX_SEGS",
    "gro_max_size": "IFLA_GRO_MAX_SIZE",
    "gso_ipv4_max_size": "IFLA_GSO_IPV4_MAX_SIZE",
    "gro_ipv4_max_size": "IFLA_GRO_IPV4_MAX_SIZE",
}
# IFLA_XDP_ATTACHED: 4 is "several", of which each has its own attribute
_XDP_MODES = {1: ("DRV",), 2: ("SKB",), 3: ("HW",), 4: ("DRV", "SKB", "HW")}
_XDP_FLAGS = {"SKB": 0x2, "DRV": 0x4, "HW": 0x8}


class Settings(NamedTuple):
    """The settings that a device keeps when it changes its namespace, and that a pod may change.

    A device loses its addresses, neighbours, queueing disciplines with their filters, and sysctls
    with the namespace; they are not here. None: this kernel does not know the setting. `alias` has
    a character for each byte.
    """

    flags: int
    broadcast: str | None = None
    queue_length: int | None = None
    link_mode: int | None = None
    alias: str | None = None
    group: int | None = None
    gso_max_size: int | None = None
    gso_max_segs: int | None = None
    gro_max_size: int | None = None
    gso_ipv4_max_size: int | None = None
    gro_ipv4_max_size: int | None = None


class Link(NamedTuple):
    """A network device as the kernel describes it.

    `kind` is ETHERNET or another ARPHRD_* number. `parent` is the PCI address of the device behind
    it, empty where the kernel names none (before Linux 5.14, and for virtual devices). `master` is
    the index of a bond or bridge it belongs to. `alternative_names` are sorted: the kernel's order
    is that of their adding. `xdp` are the modes (DRV, SKB, HW) in which an XDP program is attached.
    `permanent_mac` is the card's own, which a bond does not change; empty before Linux 5.6.
    """

    ifindex: int
    name: str
    mac: str
    mtu: int
    up: bool
    carrier: bool
    kind: int
    settings: Settings
    parent: str = ""
    master: int | None = None
    alternative_names: tuple[str, ...] = ()
    xdp: tuple[str, ...] = ()
    permanent_mac: str = ""


def find(sock: Socket, name: str) -> Link | None:
    """Return the device with this name or alternative name, None if there is none."""
    return _find(sock, 0, name)


def get(sock: Socket, index: int) -> Link | None:
    """Return the device with this index, None if there is none."""
    return _find(sock, index, "")


def list_all(sock: Socket) -> list[Link]:
    """Return all devices of the socket's namespace: for pods, never for a host."""
    return [_link(answer) for answer in sock.dump(_RTM_GETLINK, _query(0, ""), "listing devices")]


def pci_address(sock: Socket, link: Link) -> str:
    """Return the PCI address of the device behind a network device, empty if it is virtual."""
    return link.parent or _bus_info(sock, link.name)


def _bus_info(sock: Socket, name: str) -> str:
    """Return the bus address that a device's driver gives: ethtool(8) -i."""
    from array import array  # kernels name the parent since Linux 5.14

    info = array("B", struct.pack("=I", _ETHTOOL_GDRVINFO).ljust(_DRIVER_INFO, b"\0"))
    request = struct.pack("16sQ16x", name.encode(), info.buffer_info()[0])
    with as_kernel_errors(f"asking the driver of {name} for its bus"):
        try:
            fcntl.ioctl(sock.fileno(), _SIOCETHTOOL, request)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENODEV):
                raise
            return ""
    return bytes(info[_BUS_INFO]).partition(b"\0")[0].decode(errors="replace")


def set_up(sock: Socket, link: Link, up: bool) -> None:
    """Bring a device up or down."""
    doing = f"setting {link.name} {'up' if up else 'down'}"
    _change(sock, link, doing, flags=(_IFF_UP if up else 0, _IFF_UP))


def set_mac(sock: Socket, link: Link, mac: str) -> None:
    """Set the address a device uses."""
    _change(sock, link, f"setting the MAC of {link.name} to {mac}", IFLA_ADDRESS=mac)


def set_mtu(sock: Socket, link: Link, mtu: int) -> None:
    """Set a device's MTU in bytes."""
    _change(sock, link, f"setting the MTU of {link.name} to {mtu}", IFLA_MTU=mtu)


def set_setting(sock: Socket, link: Link, name: str, value: str | int) -> None:
    """Set one of a device's Settings, by the name of its field."""
    doing = f"setting {name} of {link.name} to {value}"
    if name == "flags":
        _change(sock, link, doing, flags=(int(value), _SETTABLE_FLAGS))
    else:
        encoded: Any = str(value).encode("latin-1") if name == "alias" else value
        _change(sock, link, doing, **{_ATTRIBUTES[name]: encoded})


def detach_xdp(sock: Socket, link: Link, mode: str) -> None:
    """Detach the XDP program that a device has in a mode; EBUSY if a BPF link holds it."""
    none: dict[str, Any] = {"attrs": [("IFLA_XDP_FD", -1), ("IFLA_XDP_FLAGS", _XDP_FLAGS[mode])]}
    doing = f"detaching an XDP program ({mode.lower()}) from {link.name}"
    _change(sock, link, doing, IFLA_XDP=none)


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
        f"moving {link.name} to another network namespace as {name}{' and up' if up else ''}",
        flags=(_IFF_UP, _IFF_UP) if up else (0, 0),
        IFLA_NET_NS_FD=namespace,
        IFLA_IFNAME=name,
    )


def add_alternative_name(sock: Socket, link: Link, name: str) -> None:
    """Give a device one more alternative name."""
    flags = _NLM_F_CREATE | _NLM_F_EXCL | _NLM_F_APPEND
    _alternative_name(sock, _RTM_NEWLINKPROP, flags, link, name, "adding")


def remove_alternative_name(sock: Socket, link: Link, name: str) -> None:
    """Take one of its alternative names from a device; no error if it cannot be found by that name.

    Before Linux 6.6 such names do not go with a device to another namespace: it lists them, but is
    found by them only where they were given ("net: move altnames together with the netdevice").
    """
    try:
        _alternative_name(sock, _RTM_DELLINKPROP, 0, link, name, "removing")
    except KernelError as refusal:
        if refusal.errno != errno.ENOENT:
            raise


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
    attributes = {attribute.name: attribute for attribute in answer["attrs"]}

    def value(name: str) -> Any:
        found = attributes.get(name)
        return found.value if found is not None else None

    return Link(
        ifindex=answer["index"],
        name=value("IFLA_IFNAME"),
        mac=value("IFLA_ADDRESS") or "",
        mtu=value("IFLA_MTU"),
        up=bool(answer["flags"] & _IFF_UP),
        carrier=bool(answer["flags"] & _IFF_LOWER_UP),
        kind=answer["ifi_type"],
        settings=Settings(
            answer["flags"] & _SETTABLE_FLAGS,
            value("IFLA_BROADCAST"),
            value("IFLA_TXQLEN"),
            value("IFLA_LINKMODE"),
            (value("IFLA_IFALIAS") or b"").rstrip(b"\0").decode("latin-1"),
            value("IFLA_GROUP"),
            value("IFLA_GSO_MAX_SIZE"),
            value("IFLA_GSO_MAX_SEGS"),
            value("IFLA_GRO_MAX_SIZE"),
            value("IFLA_GSO_IPV4_MAX_SIZE"),
            value("IFLA_GRO_IPV4_MAX_SIZE"),
        ),
        parent=value("IFLA_PARENT_DEV_NAME") or "",
        master=value("IFLA_MASTER"),
        alternative_names=_alternative_names(value("IFLA_PROP_LIST")),
        xdp=_xdp(value("IFLA_XDP")),
        permanent_mac=value("IFLA_PERM_ADDRESS") or "",
    )


def _alternative_names(properties: Message | None) -> tuple[str, ...]:
    return tuple(sorted(properties.get_attrs("IFLA_ALT_IFNAME"))) if properties is not None else ()


def _xdp(programs: Message | None) -> tuple[str, ...]:
    if programs is None:
        return ()
    modes = _XDP_MODES.get(programs.get_attr("IFLA_XDP_ATTACHED"), ())
    if len(modes) < 2:
        return modes
    return tuple(mode for mode in modes if programs.get_attr(f"IFLA_XDP_{mode}_PROG_ID"))


def _change(
    sock: Socket, link: Link, doing: str, flags: tuple[int, int] = (0, 0), **attributes: Any
) -> None:
    """Change a device; `flags` are their new values, and which of them are meant."""
    message = LinkMessage()
    message["index"] = link.ifindex
    message["flags"], message["change"] = flags
    message["attrs"] = list(attributes.items())
    sock.change(_RTM_NEWLINK, message, 0, doing)

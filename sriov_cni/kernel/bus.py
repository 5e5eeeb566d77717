# SPDX-License-Identifier: Apache-2.0
"""What sysfs tells of whole buses, for programs that look at every device of a node.

sysfs.py answers questions about one device, for the plugin. Here one listing or one small read
answers for as many devices as possible, and what is unreadable counts as absent: among a thousand
devices, one that goes away or that a driver got wrong must not hide the others. Only the listings
of the buses themselves raise KernelError.

Device IDs given to these functions must come from `pci_devices` or `auxiliary_devices`, names of
network devices from `members`: they become parts of paths.
"""

import fcntl
import os
import re
import struct
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from sriov_cni.kernel import sysfs
from sriov_cni.kernel.errors import KernelError, as_kernel_errors
from sriov_cni.kernel.netlink import Socket

_LARGEST = 4096  # bytes of an attribute: a page (Documentation/filesystems/sysfs.rst)
_AUXILIARY_NAME = re.compile(r"[\w-]+\.[\w-]+\.\d{1,10}", re.ASCII)  # driver.type.id
_VF_LINK = re.compile(r"virtfn(\d{1,5})", re.ASCII)
_ALIAS = re.compile(
    r"pci:v0000([0-9A-F]{4})d0000([0-9A-F]{4})sv[0-9A-F]{8}sd[0-9A-F]{8}"
    r"bc([0-9A-F]{2})sc([0-9A-F]{2})i([0-9A-F]{2})",
    re.ASCII,
)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_SIOCGIFFLAGS, _SIOCGIFINDEX = 0x8913, 0x8933  # include/uapi/linux/sockios.h
_FLAGS, _INDEX = struct.Struct("=16sH22x"), struct.Struct("=16si20x")  # struct ifreq
_IFF_UP = 0x1
_is_address = lru_cache(maxsize=4096)(sysfs.is_pci_address)  # the same ones, again and again
PCI, AUXILIARY = "bus/pci/devices", "bus/auxiliary/devices"


class Identity(NamedTuple):
    """A PCI device's IDs (four hexadecimal digits, lower case) and class."""

    vendor: str
    model: str
    class_code: int


def pci_devices() -> dict[str, int]:
    """Return the addresses of all PCI devices, each with the number of its instance.

    That is the inode number of its link on the bus: a device that went away and came back at the
    same address has another one (kernfs_new_node() counts on). Empty on a machine without PCI.
    Raises KernelError if sysfs is not there or cannot be read.
    """
    with as_kernel_errors(f"reading {sysfs.ROOT}/bus"):
        os.stat(f"{sysfs.ROOT}/bus")
    return {name: at for name, at in _entries(PCI).items() if _is_address(name)}


def auxiliary_devices() -> dict[str, int]:
    """Return the names of all devices of the auxiliary bus (driver.type.id), as `pci_devices`."""
    return {name: at for name, at in _entries(AUXILIARY).items() if _AUXILIARY_NAME.fullmatch(name)}


def identify(address: str) -> Identity | None:
    """Return what the `modalias` file of a PCI device says, None if it is gone or makes no sense.

    `uevent` says the same, but under the device's lock (uevent_show() in drivers/base/core.c):
    while a driver hangs with the device, whoever reads that hangs as well.
    """
    alias = _ALIAS.fullmatch(_text(f"{PCI}/{address}/modalias"))
    if alias is None:
        return None
    vendor, model, *class_code = alias.groups()
    return Identity(vendor.lower(), model.lower(), int("".join(class_code), 16))


def drivers() -> dict[str, str]:
    """Return the names of the drivers of all devices that are bound to one, by the devices' IDs.

    A driver's directory lists its devices: a listing answers for all of them.
    """
    return {
        device: driver
        for home in ("bus/pci/drivers", "bus/auxiliary/drivers")
        for driver in _names(home)
        for device in _names(f"{home}/{driver}")
        if _is_address(device) or _AUXILIARY_NAME.fullmatch(device)
    }


def physical_function(address: str) -> str | None:
    """Return the address of a VF's PF, None for what is no VF; a virtual machine has only VFs."""
    return _address(_link_name(f"{PCI}/{address}/physfn"))


def virtual_functions(pf: str) -> dict[str, int]:
    """Return the addresses of a PF's VFs with their indexes."""
    found: dict[str, int] = {}
    for name in _names(f"{PCI}/{pf}"):
        if link := _VF_LINK.fullmatch(name):
            address = _address(_link_name(f"{PCI}/{pf}/{name}"))
            if address is not None:
                found[address] = int(link[1])
    return found


def total_vfs(address: str) -> int | None:
    """Return how many VFs a PF could have, None for what is no PF."""
    return _number(f"{PCI}/{address}/sriov_totalvfs")


def numa_node(address: str) -> int | None:
    """Return the NUMA node of a PCI device, None if the machine has no such nodes (-1)."""
    return _number(f"{PCI}/{address}/numa_node")


def acpi_index(address: str) -> str | None:
    """Return the number that the firmware gave a PCI device on the board, None if none."""
    number = _number(f"{PCI}/{address}/acpi_index")
    return str(number) if number is not None else None


def iommu_group(address: str) -> int | None:
    """Return the number of a PCI device's IOMMU group, None without an IOMMU."""
    group = _link_name(f"{PCI}/{address}/iommu_group")
    return int(group) if group is not None and _NUMBER.fullmatch(group) else None


def has_empty_net(bus: str, device: str) -> bool:
    """Tell whether a device has network devices, but none in this network namespace."""
    try:
        return not os.listdir(f"{sysfs.ROOT}/{bus}/{device}/net")
    except OSError:
        return False


def parent(auxiliary: str) -> str | None:
    """Return the address of the PCI device that an auxiliary device is a part of."""
    path = _link(f"{AUXILIARY}/{auxiliary}") or ""
    above = reversed(path.split("/")[:-1])
    return next((name for name in above if _is_address(name)), None)


def sub_function_number(auxiliary: str) -> int | None:
    """Return the number that a sub-function was made with (sfnum), None if it has none."""
    return _number(f"{AUXILIARY}/{auxiliary}/sfnum")


def members(kind: str) -> dict[str, list[str]]:
    """Return the devices of a class ("net", "infiniband") in this network namespace.

    Each with the names of the devices above it, the nearest first: of a network device of a VF
    those are the VF's address, its bridge's and so on, of a virtual one "virtual" and "devices".
    Names that are not text are left out.
    """
    found: dict[str, list[str]] = {}
    for name in _names(f"class/{kind}"):
        path = _link(f"class/{kind}/{name}") if name.isprintable() else None
        if path is not None:
            found[name] = path.split("/")[-3::-1]  # the last two are the class and the name
    return found


def link_kind(netdev: str) -> int | None:
    """Return what kind of link a network device has (include/uapi/linux/if_arp.h)."""
    return _number(f"class/net/{netdev}/type")


def lower_names(netdev: str) -> list[str]:
    """Return the names of the devices that a network device sits on (see sysfs.upper_names)."""
    entries = _names(f"class/net/{netdev}")
    return [name.removeprefix("lower_") for name in entries if name.startswith("lower_")]


def has_master(netdev: str) -> bool:
    """Tell whether a network device belongs to a bond, bridge or team."""
    return _link(f"class/net/{netdev}/master") is not None


def index_if_up(sock: Socket, netdev: str) -> int | None:
    """Return the index of a network device of the socket's namespace if it is up, None otherwise.

    By ioctl (netdevice(7)): a message of rtnetlink costs a hundred times as much.
    """
    name = os.fsencode(netdev)
    with suppress(OSError):
        _, flags = _FLAGS.unpack(fcntl.ioctl(sock.fileno(), _SIOCGIFFLAGS, _FLAGS.pack(name, 0)))
        if flags & _IFF_UP:
            asked = fcntl.ioctl(sock.fileno(), _SIOCGIFINDEX, _INDEX.pack(name, 0))
            return int(_INDEX.unpack(asked)[1])
    return None


def _entries(path: str) -> dict[str, int]:
    try:
        with os.scandir(f"{sysfs.ROOT}/{path}") as entries:
            return {entry.name: entry.inode() for entry in entries}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise KernelError(error.errno or 0, f"reading {sysfs.ROOT}/{path}") from None


def _names(path: str) -> list[str]:
    try:
        return os.listdir(f"{sysfs.ROOT}/{path}")
    except OSError:
        return []


def _link(path: str) -> str | None:
    try:
        return os.readlink(f"{sysfs.ROOT}/{path}")
    except OSError:
        return None


def _link_name(path: str) -> str | None:
    target = _link(path)
    return target.rpartition("/")[2] if target is not None else None


def _address(text: str | None) -> str | None:
    return text if text is not None and _is_address(text) else None


def _text(path: str) -> str:
    """Return an attribute, "" without one; three system calls, where open() makes seven."""
    try:
        fd = os.open(f"{sysfs.ROOT}/{path}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, _LARGEST).decode(errors="replace").strip()
    except OSError:
        return ""
    finally:
        os.close(fd)


def _number(path: str) -> int | None:
    text = _text(path)
    return int(text) if _NUMBER.fullmatch(text) else None

# SPDX-License-Identifier: Apache-2.0
"""Read-only discovery of PFs and VFs in sysfs (Documentation/ABI/testing/sysfs-bus-pci).

Names given to these functions must be valid interface names (cni/names.py) or PCI addresses that
came from here: they become parts of paths. All functions raise KernelError where sysfs cannot be
read, which does not mean that there is no such device.
"""

import errno
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from sriov_cni.kernel.errors import KernelError

ROOT = "/sys"  # bus.py starts from it, too; unit tests put a tree of their own there
_NET = f"{ROOT}/class/net"
_PCI = f"{ROOT}/bus/pci/devices"
# How sysfs says that something is not there, or that a driver does not have it.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ENODEV, errno.EOPNOTSUPP)

Found = TypeVar("Found")


def is_pci_address(text: str) -> bool:
    """Tell whether the text is a PCI address like 0000:01:10.0 (domain:bus:device.function)."""
    parts = text.replace(".", ":").split(":")
    lengths = [len(part) for part in parts]
    return (
        text.isascii()
        and text.count(".") == 1
        and text[-2:-1] == "."
        and lengths in ([4, 2, 2, 1], [5, 2, 2, 1], [8, 2, 2, 1])
        and all(c in "0123456789abcdefABCDEF" for part in parts for c in part)
        and text[-1] in "01234567"
    )


def exists(netdev: str) -> bool:
    """Tell whether the host has a network device of this name."""
    return _look(os.stat, f"{_NET}/{netdev}") is not None


def total_vfs(pf: str) -> int | None:
    """Return how many VFs the device could have, None if it is not an SR-IOV PF."""
    return _number(f"{_NET}/{pf}/device/sriov_totalvfs")


def num_vfs(pf: str) -> int:
    """Return how many VFs of the PF are enabled.

    `sriov_numvfs` is read under the device's lock (sriov_numvfs_show() in drivers/pci/iov.c), which
    whoever changes it has until the driver is done, so the links to the VFs are counted.
    """
    names = _look(os.listdir, f"{_NET}/{pf}/device") or []
    return sum(name.startswith("virtfn") for name in names)


def vf_address(pf: str, index: int) -> str | None:
    """Return the PCI address of a VF, None if the PF has no such VF."""
    return _link_name(f"{_NET}/{pf}/device/virtfn{index}")


def device_address(netdev: str) -> str | None:
    """Return the PCI address of the device behind a network device, None if it has none."""
    return _link_name(f"{_NET}/{netdev}/device")


def device_exists(address: str) -> bool:
    """Tell whether there is a PCI device at an address."""
    return _look(os.stat, f"{_PCI}/{address}") is not None


def pf_address(address: str) -> str | None:
    """Return the PCI address of a VF's PF, None if the device is no VF."""
    return _link_name(f"{_PCI}/{address}/physfn")


def vf_index(pf_address: str, address: str) -> int | None:
    """Return the index of a VF under its PF, None if it is not the PF's."""
    return next((i for i, found in enumerate(vf_addresses(pf_address)) if found == address), None)


def vf_addresses(pf_address: str) -> Iterator[str]:
    """Yield the PCI addresses of a PF's enabled VFs, in the order of their index."""
    index = 0
    while (found := _link_name(f"{_PCI}/{pf_address}/virtfn{index}")) is not None:
        yield found
        index += 1


def pf_addresses() -> list[str]:
    """Return the PCI addresses of all devices that can have VFs."""
    addresses = _look(os.listdir, _PCI) or []
    return sorted(a for a in addresses if _look(os.stat, f"{_PCI}/{a}/sriov_totalvfs") is not None)


def most_vfs(pf_address: str) -> int:
    """Return how many VFs a PF could have, 0 if it can have none."""
    return _number(f"{_PCI}/{pf_address}/sriov_totalvfs") or 0


def numa_node(address: str) -> int | None:
    """Return the NUMA node a PCI device is at, None if the machine has no such nodes (-1)."""
    return _number(f"{_PCI}/{address}/numa_node")


def iommu_group(address: str) -> int | None:
    """Return the number of a PCI device's IOMMU group, None without an IOMMU."""
    group = _link_name(f"{_PCI}/{address}/iommu_group")
    return int(group) if group is not None and group.isdigit() else None


def uplink_names(address: str) -> list[str]:
    """Return the names of a PF's own network devices.

    In switchdev mode representors are listed beside them: of VFs, of sub-functions, and on a
    SmartNIC of the host's PF. Their phys_port_name has "pf" in it (pf0vf1, c1pf0vf1, pf0sf88,
    pf0hpf); an uplink has p0, or p0s1 of a port that is split, or none
    (__devlink_port_phys_port_name_get() in net/devlink/port.c).
    """
    names = netdev_names(address)
    return [name for name in names if "pf" not in _text(f"{_NET}/{name}/phys_port_name")]


def upper_names(netdev: str) -> list[str]:
    """Return the names of the devices that sit on a device in this network namespace.

    VLAN, macvlan and macvtap devices for example, and the bond, bridge or team it belongs to
    (netdev_adjacent_sysfs_add() in net/core/dev.c).
    """
    entries = _look(os.listdir, f"{_NET}/{netdev}") or []
    return sorted(entry.removeprefix("upper_") for entry in entries if entry.startswith("upper_"))


def netdev_names(address: str) -> list[str]:
    """Return the names of a PCI device's network devices in this network namespace.

    Names that are not text are left out: no configuration can mean them.
    """
    names = _look(os.listdir, f"{_PCI}/{address}/net") or []
    return sorted(name for name in names if name.isprintable())


def has_netdevs(address: str) -> bool:
    """Tell whether a PCI device has network devices, in whatever network namespace."""
    return _look(os.stat, f"{_PCI}/{address}/net") is not None


def driver(address: str) -> str | None:
    """Return the name of the driver a PCI device is bound to, None if it has none."""
    return _link_name(f"{_PCI}/{address}/driver")


def boot_id() -> str:
    """Return the kernel's random identifier of the present boot (random(4))."""
    return _text("/proc/sys/kernel/random/boot_id")


def _link_name(path: str) -> str | None:
    target = _look(os.readlink, path)
    return os.path.basename(target) if target is not None else None


def _text(path: str) -> str:
    return _look(_read, path) or ""


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(64).strip()


def _look(how: Callable[[str], Found], path: str) -> Found | None:
    try:
        return how(path)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise KernelError(error.errno or errno.EIO, f"reading {path}") from None


def _number(path: str) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None

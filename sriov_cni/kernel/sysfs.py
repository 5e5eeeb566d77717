# SPDX-License-Identifier: Apache-2.0
"""Read-only discovery of PFs and VFs in sysfs (Documentation/ABI/testing/sysfs-bus-pci).

Names given to these functions must be valid interface names (cni/names.py) or PCI addresses that
came from here: they become parts of paths.
"""

import os

_NET = "/sys/class/net"
_PCI = "/sys/bus/pci/devices"


def exists(netdev: str) -> bool:
    """Tell whether the host has a network device of this name."""
    return os.path.exists(f"{_NET}/{netdev}")


def total_vfs(pf: str) -> int | None:
    """Return how many VFs the device could have, None if it is no SR-IOV PF."""
    return _number(f"{_NET}/{pf}/device/sriov_totalvfs")


def num_vfs(pf: str) -> int:
    """Return how many VFs of the PF are enabled."""
    return _number(f"{_NET}/{pf}/device/sriov_numvfs") or 0


def vf_address(pf: str, index: int) -> str | None:
    """Return the PCI address of a VF, None if the PF has no such VF."""
    return _link_name(f"{_NET}/{pf}/device/virtfn{index}")


def netdev_names(address: str) -> list[str]:
    """Return the names of a PCI device's network devices in this network namespace."""
    try:
        return sorted(os.listdir(f"{_PCI}/{address}/net"))
    except OSError:
        return []


def driver(address: str) -> str | None:
    """Return the name of the driver a PCI device is bound to, None if it has none."""
    return _link_name(f"{_PCI}/{address}/driver")


def boot_id() -> str:
    """Return the kernel's random identifier of the present boot (random(4))."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _link_name(path: str) -> str | None:
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return None


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read(16))
    except (OSError, ValueError):
        return None

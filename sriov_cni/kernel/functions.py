# SPDX-License-Identifier: Apache-2.0
"""What prepares PCI functions: VFs created, reserved for drivers, bound to them and unbound.

Attributes of sysfs (Documentation/ABI/testing/sysfs-bus-pci). Each change is one write(2). What is
asked here and cannot be read counts as absent. Addresses must be PCI addresses
(sysfs.is_pci_address): they become parts of paths.
"""

import errno
import os
import re
from contextlib import suppress

from sriov_cni.kernel import sysfs
from sriov_cni.kernel.errors import KernelError, as_change

_DEVICES, _DRIVERS, _SLOTS = "bus/pci/devices", "bus/pci/drivers", "bus/pci/slots"
_NO_IOMMU = "module/vfio/parameters/enable_unsafe_noiommu_mode"
_MODULE_NAME = re.compile(r"[\w-]+", re.ASCII)


def set_vf_count(pf: str, count: int) -> None:
    """Have a PF give so many VFs; from n to m only by way of 0. Raises KernelError."""
    _write(f"{_DEVICES}/{pf}/sriov_numvfs", str(count), f"enabling {count} VFs of {pf}")


def set_autoprobe(pf: str, on: bool) -> None:
    """Have new VFs of a PF bound to their kernel driver, or to none. Raises KernelError.

    While it is off, a VF is only probed if it is reserved (pci_driver_autoprobe_ok()).
    """
    doing = f"switching the probing of VFs of {pf} {'on' if on else 'off'}"
    _write(f"{_DEVICES}/{pf}/sriov_drivers_autoprobe", str(int(on)), doing)


def autoprobe(pf: str) -> bool:
    """Tell whether new VFs of a PF are bound to their kernel driver."""
    return _text(f"{_DEVICES}/{pf}/sriov_drivers_autoprobe") != "0"


def set_override(address: str, driver: str) -> None:
    """Reserve a device for a driver, "" for none; it stays bound as it is. Raises KernelError."""
    doing = f"reserving {address} for {driver or 'no driver'}"
    _write(f"{_DEVICES}/{address}/driver_override", driver or "\n", doing)


def override(address: str) -> str:
    """Return the driver that a device is reserved for, "" for none."""
    text = _text(f"{_DEVICES}/{address}/driver_override")
    return "" if text == "(null)" else text


def unbind(address: str) -> None:
    """Take a device from its driver; one without is no error. Raises KernelError."""
    doing = f"unbinding {address} from its driver"
    try:
        _write(f"{_DEVICES}/{address}/driver/unbind", address, doing)
    except KernelError as error:
        gone = error.errno in (errno.ENOENT, errno.ENODEV)
        if not gone or not sysfs.device_exists(address):
            raise


def probe(address: str) -> None:
    """Have the bus look for a device's driver; that none wants it is no error.

    Raises KernelError.
    """
    _write("bus/pci/drivers_probe", address, f"looking for a driver for {address}")


def modalias(address: str) -> str:
    """Return the name by which modprobe(8) finds the modules for a device, "" if it has none."""
    return _text(f"{_DEVICES}/{address}/modalias")


def possible_vfs(pf: str) -> list[str]:
    """Return the addresses of all VFs that a PF could have, by index, those that do not exist too.

    Empty where the card does not tell yet: some do not before they have VFs.
    """
    offset, stride, total = (
        _number(f"{_DEVICES}/{pf}/sriov_{what}") for what in ("offset", "stride", "totalvfs")
    )
    return vf_addresses(pf, offset, stride, total)


def vf_addresses(pf: str, offset: int, stride: int, total: int) -> list[str]:
    """Return the addresses of `total` VFs, by their routing IDs.

    Those count on from the PF's: First VF Offset and VF Stride in the SR-IOV capability (PCI
    Express Base Specification, 9.3.3.9; pci_iov_virtfn_bus() in drivers/pci/iov.c).
    """
    if not offset:
        return []
    domain, bus, rest = pf.split(":")
    device, function = rest.split(".")
    first = (int(bus, 16) << 8) + (int(device, 16) << 3) + int(function) + offset
    ids = (first + stride * number for number in range(total))
    return [f"{domain}:{i >> 8:02x}:{i >> 3 & 31:02x}.{i & 7}" for i in ids if i < 1 << 16]


def slots() -> dict[str, str]:
    """Return the names of the physical slots by the addresses of what is in them: "0000:3b:00"."""
    found = {}
    for name in _names(_SLOTS):
        if address := _text(f"{_SLOTS}/{name}/address"):
            found[address] = name
    return found


def registered_drivers() -> frozenset[str]:
    """Return the drivers that the PCI bus knows."""
    return frozenset(_names(_DRIVERS))


def loaded_modules() -> frozenset[str]:
    """Return the kernel modules that are loaded, and those built into the kernel."""
    return frozenset(_names("module")) | _built_in()


def has_iommu() -> bool:
    """Tell whether an IOMMU keeps devices apart."""
    return bool(_names("class/iommu") or _names("kernel/iommu_groups"))


def allows_no_iommu() -> bool:
    """Tell whether vfio hands devices out without an IOMMU."""
    return _text(_NO_IOMMU) == "Y"


def set_no_iommu() -> None:
    """Have vfio hand devices out without an IOMMU. Raises KernelError."""
    _write(_NO_IOMMU, "Y", "allowing vfio without an IOMMU")


def vfio_nodes(address: str) -> list[str]:
    """Return the names of a device's own nodes below /dev/vfio/devices (Linux 6.6)."""
    return _names(f"{_DEVICES}/{address}/vfio-dev")


def _built_in() -> frozenset[str]:
    path = f"/lib/modules/{os.uname().release}/modules.builtin"
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        names = (line.strip().rpartition("/")[2].partition(".")[0] for line in file)
        return frozenset(name.replace("-", "_") for name in names if _MODULE_NAME.fullmatch(name))
    return frozenset()


def _write(path: str, text: str, doing: str) -> None:
    with as_change(doing):
        fd = os.open(f"{sysfs.ROOT}/{path}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _text(path: str) -> str:
    try:
        with open(f"{sysfs.ROOT}/{path}", encoding="utf-8", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return ""


def _number(path: str) -> int:
    text = _text(path)
    return int(text) if text.isascii() and text.isdigit() else 0


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(f"{sysfs.ROOT}/{path}"))
    except OSError:
        return []

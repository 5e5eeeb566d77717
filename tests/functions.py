# SPDX-License-Identifier: Apache-2.0
"""PCI functions in a made-up /sys, and pools of them, as the inventory would describe them."""

from pathlib import Path

from sriov_node.device_plugin.pool import Offer, Pool
from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.inventory.device import Device

PF = "0000:01:00.0"
RESOURCE = Resource("intel.com/sriov_net", (Selector(),))


def vf(index: int, pf: str = PF) -> Device:
    """Return VF number `index` of a PF."""
    address = f"{pf[:8]}{16 + index // 8:02x}.{index % 8}"
    return Device(address, address, "8086", "154c", 0x020000, "iavf", pf, ("eth0",), index, 0)


def pool(*devices: Device, resource: Resource = RESOURCE, reason: str = "") -> Pool:
    """Return a pool that offers devices by the first of its resource's selectors."""
    selector = resource.selectors[0]
    return Pool(resource, {d.id: Offer(d, selector, reason) for d in devices})


class Machine:
    """A tree with what sysfs and /dev have of devices."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._root = root

    def add(self, device: Device, driver: str | None = "iavf") -> Path:
        """Add a function that is bound to a driver, and return its directory."""
        bus, name = ("auxiliary", device.id) if device.aux_type else ("pci", device.address)
        directory = self._root / "sys/bus" / bus / "devices" / name
        directory.mkdir(parents=True)
        if driver is not None:
            self.bind(device, driver)
        return directory

    def directory(self, device: Device) -> Path:
        """Return the directory of a function."""
        bus, name = ("auxiliary", device.id) if device.aux_type else ("pci", device.address)
        return self._root / "sys/bus" / bus / "devices" / name

    def bind(self, device: Device, driver: str) -> None:
        """Have a function bound to a driver, in place of any other."""
        link = self.directory(device) / "driver"
        link.unlink(missing_ok=True)
        link.symlink_to(f"/nowhere/drivers/{driver}")

    def set_group(self, device: Device, number: int, name: str = "") -> None:
        """Put a function into an IOMMU group, in place of any other."""
        group = self._root / f"sys/kernel/iommu_groups/{number}"
        group.mkdir(parents=True, exist_ok=True)
        if name:
            (group / "name").write_text(f"{name}\n")
        link = self.directory(device) / "iommu_group"
        link.unlink(missing_ok=True)
        link.symlink_to(group)

    def add_node(self, path: str) -> None:
        """Add something that stands for a device node."""
        node = self._root / path.lstrip("/")
        node.parent.mkdir(parents=True, exist_ok=True)
        node.touch()

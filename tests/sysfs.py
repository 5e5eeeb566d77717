# SPDX-License-Identifier: Apache-2.0
"""Builds trees like /sys, with cards, VFs and network devices as the kernel shows them.

A test in this process has the code read a tree by `tree.install(monkeypatch)`; a program sees one
in place of /sys when it is started by `seeing(tree, ...)`, which needs root. Paths are those of
a kernel: devices below devices/, links to them in bus/ and class/. What goes away is moved to
.gone/, so that no inode number comes back, as none does in sysfs.

    tree = Tree(tmp_path)
    tree.pf("0000:3b:00.0", "ens1f0", vfs=4)  # VFs ens1f0v0 to ens1f0v3
    tree.bind(tree.vf("0000:3b:00.0", 3), "vfio-pci")
    tree.take("ens1f0v0")  # into a pod
"""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sriov_cni.kernel import sysfs

if TYPE_CHECKING:
    import pytest

ETHERNET, INFINIBAND = 1, 32


class _Card(NamedTuple):
    """What the VFs of a PF are like."""

    vendor: str
    vf_model: str
    vf_driver: str | None
    netdev: str
    numa: int
    kind: int


class Tree:
    """A tree below the directory `root`, at first of a machine without network devices."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._gone = itertools.count()
        self._cards: dict[str, _Card] = {}
        self._groups = itertools.count(1)
        for directory in ("bus/pci/devices", "class/net", "devices/virtual/net", ".gone"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)

    def install(self, monkeypatch: "pytest.MonkeyPatch") -> None:
        """Have this process read the tree in place of /sys."""
        monkeypatch.setattr(sysfs, "ROOT", str(self.root))
        monkeypatch.setattr(sysfs, "_NET", f"{self.root}/class/net")
        monkeypatch.setattr(sysfs, "_PCI", f"{self.root}/bus/pci/devices")

    def function(
        self,
        address: str,
        netdev: str = "",
        *,
        driver: str | None = "iavf",
        vendor: str = "8086",
        model: str = "1889",
        class_code: int = 0x020000,
        numa: int = -1,
        kind: int = ETHERNET,
        iommu: bool = True,
    ) -> None:
        """Add any PCI device: a card without SR-IOV, a VF inside a virtual machine, a bridge."""
        path = self.root / "devices/pci0000:00" / address
        path.mkdir(parents=True)
        ids = f"v0000{vendor.upper()}d0000{model.upper()}sv00000000sd00000000"
        base, sub, interface = class_code.to_bytes(3, "big")
        self.write(path / "modalias", f"pci:{ids}bc{base:02X}sc{sub:02X}i{interface:02X}")
        self.write(path / "vendor", f"0x{vendor}")
        self.write(path / "device", f"0x{model}")
        self.write(path / "class", f"0x{class_code:06x}")
        self.write(path / "numa_node", str(numa))
        self._link(self.root / "bus/pci/devices" / address, path)
        if iommu:
            group = self.root / "kernel/iommu_groups" / str(next(self._groups))
            group.mkdir(parents=True)
            self._link(path / "iommu_group", group)
        self.bind(address, driver)
        if netdev:
            self.netdev(address, netdev, kind=kind)

    def pf(
        self,
        address: str,
        netdev: str = "",
        *,
        vfs: int = 0,
        total: int = 64,
        driver: str = "ice",
        vf_driver: str | None = "iavf",
        vendor: str = "8086",
        model: str = "1592",
        vf_model: str = "1889",
        numa: int = 0,
        kind: int = ETHERNET,
    ) -> None:
        """Add a PF with so many VFs, of at most `total`.

        VFs bound to a network driver have devices called <netdev>v<index>; `netdev` empty: neither
        the PF nor its VFs have any.
        """
        self.function(
            address, netdev, driver=driver, vendor=vendor, model=model, numa=numa, kind=kind
        )
        self.write(self.device(address) / "sriov_totalvfs", str(total))
        self.write(self.device(address) / "sriov_numvfs", "0")
        self._cards[address] = _Card(vendor, vf_model, vf_driver, netdev, numa, kind)
        if vfs:
            self.set_numvfs(address, vfs)

    def set_numvfs(self, pf: str, count: int) -> None:
        """Have a PF give so many VFs, new ones, in the place of those it has."""
        card, device = self._cards[pf], self.device(pf)
        for link in device.glob("virtfn*"):
            self.remove(os.path.basename(os.readlink(link)))
            self._discard(link)
        for index in range(count):
            address = self.vf(pf, index)
            self.function(
                address,
                driver=card.vf_driver,
                vendor=card.vendor,
                model=card.vf_model,
                numa=card.numa,
            )
            if card.netdev and card.vf_driver not in (None, "vfio-pci"):
                self.netdev(address, f"{card.netdev}v{index}", kind=card.kind)
            self._link(self.device(address) / "physfn", device)
            self._link(device / f"virtfn{index}", self.device(address))
        self.write(device / "sriov_numvfs", str(count))

    @staticmethod
    def vf(pf: str, index: int) -> str:
        """Return the address of a PF's VF: 0000:3b:02.0 is VF 0 of 0000:3b:00.0.

        The functions of one card have room for 64 VFs each.
        """
        domain, bus, rest = pf.split(":")
        number = (int(bus, 16) << 8) + 0x10 + 64 * int(rest[-1]) + index
        return f"{domain}:{number >> 8:02x}:{number >> 3 & 31:02x}.{number & 7}"

    def bind(self, device: str, driver: str | None) -> None:
        """Bind a device to a driver, None: to none. Its network devices are gone then."""
        path = self.device(device)
        for netdev in list(path.glob("net/*")):
            self.take(netdev.name)
        if os.path.lexists(path / "net"):
            self._discard(path / "net")
        self._unbind(path)
        if driver:
            bus = "pci" if sysfs.is_pci_address(device) else "auxiliary"
            home = self.root / "bus" / bus / "drivers" / driver
            home.mkdir(parents=True, exist_ok=True)
            self._link(path / "driver", home)
            self._link(home / device, path)

    def netdev(
        self, device: str, name: str, *, port: str = "", kind: int = ETHERNET, within: str = ""
    ) -> None:
        """Give a device a network device; `port`: its phys_port_name; `within`: virtio2, say."""
        self._add_netdev(self.device(device) / within / "net" / name, kind, port)

    def virtual(self, name: str, *lowers: str, group: bool = False) -> None:
        """Add a virtual network device that sits on others; `group`: a bond that they belong to."""
        path = self.root / "devices/virtual/net" / name
        self._add_netdev(path, ETHERNET, "")
        for lower in lowers:
            below = (self.root / "class/net" / lower).resolve()
            self._link(path / f"lower_{lower}", below)
            self._link(below / f"upper_{name}", path)
            if group:
                self._link(below / "master", path)

    def take(self, netdev: str) -> None:
        """Take a network device away, as when it moves to a pod: its device's net/ stays."""
        link = self.root / "class/net" / netdev
        self._discard(link.resolve())
        self._discard(link)

    def representor(self, pf: str, netdev: str, port: str) -> None:
        """Add a representor (port: pf0vf1, pf0sf88) to a PF in switchdev mode."""
        self.netdev(pf, netdev, port=port)

    def rdma(self, device: str, name: str) -> None:
        """Give a device an RDMA device."""
        path = self.device(device) / "infiniband" / name
        path.mkdir(parents=True)
        self._link(self.root / "class/infiniband" / name, path)

    def take_rdma(self, name: str) -> None:
        """Take an RDMA device away, as when it moves to a pod (exclusive mode)."""
        link = self.root / "class/infiniband" / name
        self._discard(link.resolve())
        self._discard(link)

    def sub_function(
        self, name: str, pf: str, sfnum: int, netdev: str = "", driver: str = "mlx5_core.sf"
    ) -> None:
        """Add a sub-function of a PF: an auxiliary device like mlx5_core.sf.4."""
        path = self.device(pf) / name
        path.mkdir()
        self.write(path / "sfnum", str(sfnum))
        self._link(self.root / "bus/auxiliary/devices" / name, path)
        self.bind(name, driver)
        if netdev:
            self.netdev(name, netdev)

    def remove(self, device: str) -> None:
        """Remove a device with its network devices."""
        path = self.device(device)
        for netdev in list(path.glob("net/*")):
            self.take(netdev.name)
        for bus in ("pci", "auxiliary"):
            if os.path.lexists(link := self.root / "bus" / bus / "devices" / device):
                self._discard(link)
        self._unbind(path)
        self._discard(path)

    def device(self, device: str) -> Path:
        """Return the directory of a device of either bus."""
        bus = "pci" if sysfs.is_pci_address(device) else "auxiliary"
        return (self.root / "bus" / bus / "devices" / device).resolve()

    @staticmethod
    def write(path: Path, text: str) -> None:
        """Write an attribute, with the line's end that the kernel gives it."""
        path.write_text(f"{text}\n")

    def _unbind(self, path: Path) -> None:
        if os.path.lexists(path / "driver"):
            self._discard((path / "driver").resolve() / path.name)
            self._discard(path / "driver")

    def _add_netdev(self, path: Path, kind: int, port: str) -> None:
        path.mkdir(parents=True)
        self.write(path / "type", str(kind))
        if port:
            self.write(path / "phys_port_name", port)
        self._link(self.root / "class/net" / path.name, path)

    def _discard(self, path: Path) -> None:
        path.rename(self.root / ".gone" / str(next(self._gone)))

    @staticmethod
    def _link(path: Path, target: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(target, path.parent))


def seeing(tree: Tree, *command: str) -> Sequence[str]:
    """Return a command that runs another with the tree as /sys, in a network namespace of its own.

    The namespace has a loopback device only; `ip link add` in the command makes others. /run is
    empty: what is written there goes with the command.
    """
    script = (
        'mount --make-rprivate /; mount --rbind "$0" /sys; mount -t tmpfs tmpfs /run; exec "$@"'
    )
    return ("unshare", "--mount", "--net", "sh", "-ec", script, str(tree.root), *command)

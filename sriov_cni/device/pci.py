# SPDX-License-Identifier: Apache-2.0
"""PCI functions of SR-IOV cards, found by their PF and index or by their address."""

from collections.abc import Iterator
from typing import NamedTuple

from sriov_cni.device.errors import NoSuchDeviceError
from sriov_cni.kernel import sysfs
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.sysfs import is_pci_address


class PciFunction(NamedTuple):
    """A VF, or with `vf` None a PF itself.

    `pf` is the name of the PF's network device, empty if it has none; `address` is the function's
    own PCI address.
    """

    pf: str
    vf: int | None
    address: str

    def __str__(self) -> str:
        if self.vf is None:
            return f"PF {self.pf}"
        return f"VF {self.vf} of {self.pf}" if self.pf else f"VF {self.address}"


class VfSlot(NamedTuple):
    """Where a VF is administered: the name of its PF's network device, and its index there."""

    pf: str
    vf: int


class OnHost(NamedTuple):
    """A function that is on the host now, with its network device and its slot.

    `link` is None where its driver serves user space, `slot` where nobody administers it.
    """

    function: PciFunction
    slot: VfSlot | None
    link: Link | None


def pf_itself(pf: str) -> PciFunction:
    """Return a PF's own function; raise NoSuchDeviceError."""
    _require(pf)
    address = sysfs.device_address(pf)
    if address is None or not is_pci_address(address):
        raise NoSuchDeviceError(
            f"{pf} is no PCI device", f"{pf} is virtual, or on another bus: correct master"
        )
    return PciFunction(pf, None, address)


def by_index(pf: str, vf: int) -> PciFunction:
    """Return a VF of a PF; raise NoSuchDeviceError if the PF does not have it."""
    count = count_vfs(pf)
    if vf >= count:
        raise NoSuchDeviceError(
            f"{pf} has no VF {vf}",
            f"{count} VFs are enabled on {pf}: ask for one from 0 to {count - 1}",
        )
    return _enabled(pf, vf)


def by_address(address: str) -> PciFunction:
    """Return the VF at a PCI address; raise NoSuchDeviceError if there is none."""
    if not sysfs.device_exists(address):
        raise NoSuchDeviceError(
            f"PCI device {address} does not exist",
            f"/sys/bus/pci/devices/{address} is missing: correct deviceID",
        )
    pf_address = sysfs.pf_address(address)
    vf = sysfs.vf_index(pf_address, address) if pf_address is not None else None
    if pf_address is None or vf is None:
        raise NoSuchDeviceError(
            f"PCI device {address} is no VF",
            f"{address} belongs to no PF: deviceID must be the address of a VF",
        )
    names = sysfs.uplink_names(pf_address)
    return PciFunction(names[0] if names else "", vf, address)


def vfs_of(pf: str) -> Iterator[PciFunction]:
    """Yield the enabled VFs of a PF; raise NoSuchDeviceError if it has none."""
    for vf in range(count_vfs(pf)):
        yield _enabled(pf, vf)


def count_vfs(pf: str) -> int:
    """Return how many VFs of a PF are enabled; raise NoSuchDeviceError if it has none."""
    _require(pf)
    if sysfs.total_vfs(pf) is None:
        raise NoSuchDeviceError(
            f"{pf} has no SR-IOV",
            f"{pf} is no physical function of an SR-IOV card: correct master, or enable SR-IOV in "
            "firmware and driver",
        )
    count = sysfs.num_vfs(pf)
    if count == 0:
        raise NoSuchDeviceError(
            f"{pf} has no VFs",
            f"enable some: echo 4 > /sys/class/net/{pf}/device/sriov_numvfs",
        )
    return count


def pf_names(function: PciFunction) -> list[str]:
    """Return the names that a VF's PF goes by now: its own network devices."""
    pf_address = sysfs.pf_address(function.address)
    return sysfs.uplink_names(pf_address) if pf_address is not None else []


def slot_of(function: PciFunction) -> VfSlot | None:
    """Return where a VF is administered now, whatever its PF is called; None if nowhere.

    A PF has no slot, and neither has a VF whose PF has no network device.
    """
    if function.vf is None:
        return None
    names = pf_names(function)
    if function.pf in names:
        return VfSlot(function.pf, function.vf)
    return VfSlot(names[0], function.vf) if names else None


def _require(pf: str) -> None:
    if not sysfs.exists(pf):
        raise NoSuchDeviceError(
            f"PF {pf} does not exist", f"this node has no network device {pf}: correct master"
        )


def _enabled(pf: str, vf: int) -> PciFunction:
    address = sysfs.vf_address(pf, vf)
    if address is None or not is_pci_address(address):
        raise NoSuchDeviceError(
            f"{pf} has no VF {vf}",
            f"/sys/class/net/{pf}/device/virtfn{vf} is no link to a PCI device",
        )
    return PciFunction(pf, vf, address)

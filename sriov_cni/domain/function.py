# SPDX-License-Identifier: Apache-2.0
"""PCI functions of SR-IOV cards: which one a configuration means, by name, index or address."""

from collections.abc import Iterator
from typing import NamedTuple

from sriov_cni.cni import errors
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.names import is_pci_address
from sriov_cni.domain.configuration import Configuration
from sriov_cni.kernel import sysfs


class Function(NamedTuple):
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


class Administrator(NamedTuple):
    """Where a VF is administered: the name of its PF's network device, and its index there."""

    pf: str
    vf: int


def requested(wanted: Configuration) -> Function | None:
    """Return the function a configuration names, None if any VF of its master will do.

    Raises CniError: 101 where it does not exist, 7 where deviceID, master and vf disagree.
    """
    if wanted.device_id is not None:
        return _by_address(wanted, wanted.device_id)
    if wanted.pf_only:
        return Function(wanted.master, None, _pci_address(wanted.master))
    count = count_vfs(wanted.master)
    if wanted.vf is None:
        return None
    if wanted.vf >= count:
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{wanted.master} has no VF {wanted.vf}",
            f"{count} VFs are enabled on {wanted.master}: ask for one from 0 to {count - 1}",
        )
    return _by_index(wanted.master, wanted.vf)


def vfs_of(pf: str) -> Iterator[Function]:
    """Yield the enabled VFs of a PF; raise CniError (101) if it has none."""
    for vf in range(count_vfs(pf)):
        yield _by_index(pf, vf)


def count_vfs(pf: str) -> int:
    """Return how many VFs of a PF are enabled; raise CniError (101) if it has none."""
    _require(pf)
    if sysfs.total_vfs(pf) is None:
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{pf} has no SR-IOV",
            f"{pf} is no physical function of an SR-IOV card: correct master, or enable SR-IOV in "
            "firmware and driver",
        )
    count = sysfs.num_vfs(pf)
    if count == 0:
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{pf} has no VFs",
            f"enable some: echo 4 > /sys/class/net/{pf}/device/sriov_numvfs",
        )
    return count


def administrator(function: Function) -> Administrator | None:
    """Return who administers a VF now, whatever the PF is called; None if the PF has no device."""
    if function.vf is None:
        return None
    pf_address = sysfs.pf_address(function.address)
    names = sysfs.uplink_names(pf_address) if pf_address is not None else []
    if function.pf in names:
        return Administrator(function.pf, function.vf)
    return Administrator(names[0], function.vf) if names else None


def _require(pf: str) -> None:
    if not sysfs.exists(pf):
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"PF {pf} does not exist",
            f"this node has no network device {pf}: correct master",
        )


def _pci_address(pf: str) -> str:
    _require(pf)
    address = sysfs.device_address(pf)
    if address is None or not is_pci_address(address):
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{pf} is no PCI device",
            f"{pf} is virtual, or on another bus: correct master",
        )
    return address


def _by_index(pf: str, vf: int) -> Function:
    address = sysfs.vf_address(pf, vf)
    if address is None or not is_pci_address(address):
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"{pf} has no VF {vf}",
            f"/sys/class/net/{pf}/device/virtfn{vf} is no link to a PCI device",
        )
    return Function(pf, vf, address)


def _by_address(wanted: Configuration, address: str) -> Function:
    if not sysfs.device_exists(address):
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"PCI device {address} does not exist",
            f"/sys/bus/pci/devices/{address} is missing: correct deviceID",
        )
    pf_address = sysfs.pf_address(address)
    vf = sysfs.vf_index(pf_address, address) if pf_address is not None else None
    if pf_address is None or vf is None:
        raise CniError(
            errors.NO_SUCH_DEVICE,
            f"PCI device {address} is no VF",
            f"{address} belongs to no PF: deviceID must be the address of a VF",
        )
    names = sysfs.uplink_names(pf_address)
    if wanted.master and wanted.master not in names:
        raise CniError(
            errors.INVALID_CONFIGURATION,
            "deviceID and master disagree",
            f"{address} is a VF of {' or '.join(names) or pf_address}, not of {wanted.master}: "
            "leave one of the two out",
        )
    if wanted.vf not in (None, vf):
        raise CniError(
            errors.INVALID_CONFIGURATION,
            "deviceID and vf disagree",
            f"{address} is VF {vf} of its PF, not {wanted.vf}: leave one of the two out",
        )
    return Function(wanted.master or (names[0] if names else ""), vf, address)

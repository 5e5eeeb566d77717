# SPDX-License-Identifier: Apache-2.0
"""The PFs and VFs of this node, as one immutable picture of a moment.

For programs that look at a whole node. A CNI call asks pci.py about one function instead. All of
it comes from sysfs; functions raise KernelError where that cannot be read.
"""

from typing import NamedTuple

from sriov_cni.device.pci import PciFunction, VfSlot
from sriov_cni.kernel import sysfs


class Vf(NamedTuple):
    """A VF. `slot` is where it is administered, None if its PF has no network device.

    `netdevs` are the network devices that it has in this network namespace; `driver` is None for a
    VF bound to none, `numa_node` and `iommu_group` where the machine has no such thing.
    """

    function: PciFunction
    slot: VfSlot | None
    netdevs: tuple[str, ...]
    driver: str | None
    numa_node: int | None
    iommu_group: int | None


class Pf(NamedTuple):
    """A PF with its enabled VFs, in the order of their index.

    `netdevs` are its own network devices, without representors; `most_vfs` is how many VFs it could
    have.
    """

    address: str
    netdevs: tuple[str, ...]
    driver: str | None
    numa_node: int | None
    most_vfs: int
    vfs: tuple[Vf, ...]


def pfs() -> tuple[Pf, ...]:
    """Return all PFs of this node, in the order of their PCI addresses."""
    return tuple(_pf(address) for address in sysfs.pf_addresses())


def _pf(address: str) -> Pf:
    netdevs = tuple(sysfs.uplink_names(address))
    return Pf(
        address=address,
        netdevs=netdevs,
        driver=sysfs.driver(address),
        numa_node=sysfs.numa_node(address),
        most_vfs=sysfs.most_vfs(address),
        vfs=tuple(
            _vf(PciFunction(netdevs[0] if netdevs else "", index, vf_address))
            for index, vf_address in enumerate(sysfs.vf_addresses(address))
        ),
    )


def _vf(function: PciFunction) -> Vf:
    return Vf(
        function=function,
        slot=VfSlot(function.pf, function.vf) if function.pf and function.vf is not None else None,
        netdevs=tuple(sysfs.netdev_names(function.address)),
        driver=sysfs.driver(function.address),
        numa_node=sysfs.numa_node(function.address),
        iommu_group=sysfs.iommu_group(function.address),
    )

# SPDX-License-Identifier: Apache-2.0
"""What is the case on the node, as far as its preparation is concerned: a picture of a moment."""

from collections.abc import Mapping
from typing import NamedTuple

from sriov_node.preparation.wanted import Eswitch


class Vf(NamedTuple):
    """One VF. `number` is its index under its PF.

    `override` is the driver that it is reserved for (driver_override), "" for none.
    """

    address: str
    number: int
    driver: str | None = None
    override: str = ""


class Pf(NamedTuple):
    """One PF.

    `names` are those of its network device and then the alternative ones; `macs` that device's
    addresses; `slot` its physical slot's name. `autoprobe`: new VFs get their kernel's driver
    (sriov_drivers_autoprobe). `mtu` and `is_up` are None without a network device on the host,
    `eswitch` is None where the driver knows no modes. `host_use` says what the host uses it
    for, which keeps nobody from having VFs of it.
    """

    address: str
    vendor: str
    device: str
    names: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    slot: str = ""
    driver: str | None = None
    total_vfs: int = 0
    vfs: tuple[Vf, ...] = ()
    autoprobe: bool = True
    mtu: int | None = None
    is_up: bool | None = None
    eswitch: Eswitch | None = None
    host_use: str = ""

    @property
    def title(self) -> str:
        """What people call it: its name and address, the latter alone without a name."""
        return f"{self.names[0]} ({self.address})" if self.names else self.address


class Facts(NamedTuple):
    """The node. `pfs` are all its PFs by address.

    `drivers` are the PCI drivers that are registered, `modules` the kernel modules that are loaded
    or built in, with _ for - in their names. `uses` tells who uses a VF, or has a PF itself, by its
    address: one sentence per witness, each following the address; whoever is not there is free.
    `preparing` are the addresses of the PFs that another process prepares: of these, what is read
    under the device's lock is not known, since a driver may hang with that.
    """

    pfs: Mapping[str, Pf] = {}
    drivers: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    has_iommu: bool = True
    no_iommu: bool = False  # vfio's enable_unsafe_noiommu_mode is on
    uses: Mapping[str, tuple[str, ...]] = {}
    preparing: frozenset[str] = frozenset()

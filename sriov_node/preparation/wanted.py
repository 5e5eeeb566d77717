# SPDX-License-Identifier: Apache-2.0
"""What the node's file wants of the node's PFs."""

from enum import Enum
from typing import NamedTuple

from sriov_node.fields import Fault
from sriov_node.ranges import Range

KERNEL = "kernel"  # stands for the driver that knows a VF by itself


class Eswitch(Enum):
    """The mode of a PF's embedded switch (enum devlink_eswitch_mode in linux/devlink.h)."""

    LEGACY = "legacy"
    SWITCHDEV = "switchdev"


class Reconcile(Enum):
    """What is done where the node is no longer as wanted."""

    REPORT = "report"
    FREE = "free"  # what no pod uses is made as wanted again


class Match(NamedTuple):
    """Which PF is meant: the one that has all that is not empty here.

    `pf` is its name or an alternative one, `address` its PCI address, `mac` the address of its
    network device, `slot` the name of its physical slot (/sys/bus/pci/slots). `vendor` and `device`
    are four hexadecimal digits, lower case.
    """

    pf: str = ""
    address: str = ""
    mac: str = ""
    vendor: str = ""
    device: str = ""
    slot: str = ""

    def __str__(self) -> str:
        given = ((key, value) for key, value in self._asdict().items() if value)
        return ", ".join(f"{key} {value}" for key, value in given)


class Wanted(NamedTuple):
    """An entry of `functions`: one PF.

    `place` is where it stands: its file and its place there. None leaves something as it is.
    `drivers` are the ranges of VF indexes and the driver of each, KERNEL for what is in no range.
    `externally_managed`: somebody else creates the VFs and sets mode and MTU; only drivers are
    bound, and the rest is checked. `no_iommu`: vfio-pci without an IOMMU is asked for.
    """

    match: Match
    place: str = ""
    vfs: int | None = None
    mtu: int | None = None
    eswitch: Eswitch | None = None
    drivers: tuple[tuple[tuple[Range, ...], str], ...] = ()
    externally_managed: bool = False
    no_iommu: bool = False

    def driver_of(self, index: int) -> str:
        """Return the driver that a VF shall have, or KERNEL."""
        for ranges, driver in self.drivers:
            if any(first <= index <= last for first, last in ranges):
                return driver
        return KERNEL


class WantedNode(NamedTuple):
    """What the node's files want; the entries with faults are left out."""

    functions: tuple[Wanted, ...] = ()
    modules: tuple[str, ...] = ()  # kernel modules to load, beside those that drivers need
    reconcile: Reconcile = Reconcile.REPORT
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()

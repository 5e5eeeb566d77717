# SPDX-License-Identifier: Apache-2.0
"""The steps that make a node what is wanted, as data: plan.py makes them, apply.py takes them."""

from enum import Enum
from typing import NamedTuple


class Action(Enum):
    """What a step does; `value` is the step's."""

    LOAD = "load module"  # value: a module's name, or "" for the driver of the device
    NO_IOMMU = "allow vfio without IOMMU"
    BIND_PF = "bind PF"  # has the kernel look for its driver
    AUTOPROBE = "set autoprobe"  # value: 0 or 1
    COUNT = "set VFs"  # value: how many
    ESWITCH = "set eswitch"  # value: an Eswitch
    OVERRIDE = "reserve for driver"  # value: a driver's name, "" for none
    UNBIND = "unbind"
    PROBE = "bind"  # value: the driver that is expected, KERNEL for any
    MTU = "set MTU"
    UP = "bring up"


class Step(NamedTuple):
    """One step. Every sequence of steps that ends early is one that a new plan goes on from.

    `pf` is the PF's PCI address, "" for what concerns the whole node. `vf` is the index of the VF
    that the step is about, None for the PF itself. `cost` says what others notice, "" for nothing.
    """

    action: Action
    pf: str
    vf: int | None
    value: str
    reason: str
    cost: str = ""

    @property
    def words(self) -> str:
        """What it does, for people."""
        if self.action is Action.OVERRIDE and not self.value:
            return "reserve for no driver"
        return " ".join(filter(None, (self.action.value, self.value)))


class Refusal(NamedTuple):
    """A step that is not taken, because it would take a device away from its user.

    `address` is the VF's, or the PF's own, `uses` are its uses as in Facts.
    """

    pf: str
    vf: int | None
    address: str
    step: str  # what would have to be done, in words
    uses: tuple[str, ...]


class Plan(NamedTuple):
    """What is to be done, in this order, and what is not.

    `refusals` are for devices in use, `faults` for what cannot be had: a PF that is not there, too
    many VFs, a driver without IOMMU. The PFs of either are in no step, or only in steps before
    that. `notes` are what is odd but no fault. `pfs` are the addresses of the PFs that entries
    matched, in the order of the entries.
    """

    steps: tuple[Step, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pfs: tuple[str, ...] = ()

    @property
    def is_reached(self) -> bool:
        """Whether the node is as wanted."""
        return not (self.steps or self.refusals or self.faults)

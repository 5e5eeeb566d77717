# SPDX-License-Identifier: Apache-2.0
"""A resource as the configuration describes it: its name, and the devices that it selects."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Allocation(Enum):
    """Which devices kubelet is told to prefer (GetPreferredAllocation)."""

    PACKED = "packed"  # of the PF that has the most in use
    BALANCED = "balanced"  # of the PF that has the fewest in use
    NONE = "none"


class Members(NamedTuple):
    """The devices of one PF: all of them, or those with an index in a range (both ends included).

    `pf` is a name as `pfNames` has it, or a PCI address as `rootDevices` has it.
    """

    pf: str
    ranges: tuple[tuple[int, int], ...] = ()


class Selector(NamedTuple):
    """What a device must be like: each field that is not empty must have one of its values."""

    vendors: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    pci_addresses: tuple[str, ...] = ()
    acpi_indexes: tuple[str, ...] = ()
    pf_names: tuple[Members, ...] = ()
    root_devices: tuple[Members, ...] = ()
    link_types: tuple[str, ...] = ()
    aux_types: tuple[str, ...] = ()
    is_rdma: bool = False
    need_vhost_net: bool = False


class Resource(NamedTuple):
    """One resource. `name` is its full name, prefix/name.

    A device belongs to it if one of the `selectors` takes it; the first that does counts.
    `additional_info` is by device ID, "*" for all. `watch_carrier`: free devices of a PF without
    carrier are unhealthy.
    """

    name: str
    selectors: tuple[Selector, ...]
    auxiliary: bool = False  # deviceType auxNetDevice; netDevice otherwise
    exclude_topology: bool = False
    additional_info: Mapping[str, Mapping[str, str]] = {}
    allocation: Allocation = Allocation.NONE
    watch_carrier: bool = False

    @property
    def prefix(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    @property
    def short_name(self) -> str:
        """The part of the name after the slash."""
        return self.name.partition("/")[2]

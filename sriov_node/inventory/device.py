# SPDX-License-Identifier: Apache-2.0
"""One device that could be given to a pod, as a picture of a moment."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

ETHER, INFINIBAND = "ether", "infiniband"


class State(Enum):
    """Who has a device. `sriovctl`, metrics and logs use the values as they are."""

    FREE = "free"
    ATTACHED = "attached"  # a record of this boot claims it, and it is not on the host
    RETURNING = "returning"  # a record claims it, and it is on the host: DEL or ADD is at work
    LOST = "lost"  # it stayed like that: the next ADD restores it
    ELSEWHERE = "elsewhere"  # its network device is in another namespace, and no record tells why
    HOST = "host"  # the host itself uses it


class Use(NamedTuple):
    """Who has a device, and in words for whom, or for what; empty for a free one.

    `container`, `interface`, `network` and `netns` are a record's; empty without one.
    """

    state: State
    reason: str = ""
    container: str = ""
    interface: str = ""
    network: str = ""
    netns: str = ""


class Device(NamedTuple):
    """A network function on the PCI bus, or a sub-function on the auxiliary bus.

    `id` is what kubelet knows it by: its PCI address, or an auxiliary name (mlx5_core.sf.4).
    `address` is its PCI address, of a sub-function that of the function it is part of. `vendor` and
    `model` are four hexadecimal digits, lower case. `pf` is the PCI address of its PF, `number` its
    number there (a VF's index, a sub-function's sfnum); both None for a PF, and for a VF inside a
    virtual machine. `pf_names` are the names and then the alternative names of the PF's own network
    devices, of a PF its own; the first is the PF's name. `netdevs` are its network devices on the
    host. `link_type` is ETHER, INFINIBAND or the number of another type (linux/if_arp.h): the
    device's own, or its PF's where it has no network device on the host. `rdma` are the names of
    its RDMA devices (mlx5_4). `enabled_vfs` is 0 for what is no PF. `carrier` is that of its PF,
    None where nobody knows.
    """

    id: str
    address: str
    vendor: str
    model: str
    class_code: int  # PCI: 0x020000 is Ethernet, 0x0207xx InfiniBand
    driver: str | None = None
    pf: str | None = None
    pf_names: tuple[str, ...] = ()
    number: int | None = None
    numa_node: int | None = None
    iommu_group: int | None = None
    acpi_index: str | None = None
    aux_type: str | None = None  # "sf" for a sub-function, None on the PCI bus
    netdevs: tuple[str, ...] = ()
    link_type: str | None = None
    rdma: tuple[str, ...] = ()
    enabled_vfs: int = 0
    carrier: bool | None = None
    use: Use = Use(State.FREE)


class Snapshot(NamedTuple):
    """All network devices of the node, by their IDs, PFs among them; `pfs` are the IDs of those."""

    devices: Mapping[str, Device] = {}
    pfs: tuple[str, ...] = ()

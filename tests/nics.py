# SPDX-License-Identifier: Apache-2.0
"""Devices as the inventory has them: two cards of Intel's, an InfiniBand card, a SmartNIC."""

from sriov_node.inventory.device import ETHER, INFINIBAND, Device

ETHERNET_CLASS, INFINIBAND_CLASS, ACCELERATOR_CLASS = 0x020000, 0x020700, 0x120000


def pf(number: int = 0, enabled_vfs: int = 8) -> Device:
    """A PF of Intel's: 0000:01:00.<number>, with the name eth<number> and another."""
    address = f"0000:01:00.{number}"
    names = (f"eth{number}", f"uplink{number}")
    return Device(
        id=address,
        address=address,
        vendor="8086",
        model="1572",
        class_code=ETHERNET_CLASS,
        driver="i40e",
        pf_names=names,
        numa_node=0,
        netdevs=names[:1],
        link_type=ETHER,
        enabled_vfs=enabled_vfs,
    )


def vf(index: int = 0, of: int = 0, driver: str | None = "iavf") -> Device:
    """A VF of PF `of`: 0000:01:1<of>.<index> for the first eight."""
    address = f"0000:01:{0x10 + of * 8 + index // 8:02x}.{index % 8}"
    parent = pf(of)
    return Device(
        id=address,
        address=address,
        vendor="8086",
        model="154c",
        class_code=ETHERNET_CLASS,
        driver=driver,
        pf=parent.id,
        pf_names=parent.pf_names,
        number=index,
        numa_node=0,
        netdevs=(f"eth{of}v{index}",) if driver == "iavf" else (),
        link_type=ETHER,
    )


def infiniband_vf(index: int = 0) -> Device:
    """A VF of an InfiniBand card with its RDMA device."""
    address = f"0000:05:00.{index + 1}"
    return Device(
        id=address,
        address=address,
        vendor="15b3",
        model="1018",
        class_code=INFINIBAND_CLASS,
        driver="mlx5_core",
        pf="0000:05:00.0",
        pf_names=("ib0",),
        number=index,
        netdevs=(f"ib0v{index}",),
        link_type=INFINIBAND,
        rdma=(f"mlx5_{index + 1}",),
    )


def sub_function(number: int = 88) -> Device:
    """A sub-function of a SmartNIC's PF, p0."""
    return Device(
        id=f"mlx5_core.sf.{number}",
        address="0000:03:00.0",
        vendor="15b3",
        model="a2d6",
        class_code=ETHERNET_CLASS,
        driver="mlx5_core.sf",
        pf="0000:03:00.0",
        pf_names=("p0",),
        number=number,
        aux_type="sf",
        netdevs=(f"p0s{number}",),
        link_type=ETHER,
        rdma=(f"mlx5_{number}",),
    )

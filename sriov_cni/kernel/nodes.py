# SPDX-License-Identifier: Apache-2.0
"""The device nodes that belong to a function: what a container needs to drive it by itself.

Read from sysfs at the moment of the question, since numbers change with each binding and each boot.
`directory` is a function's own directory, from `pci_directory` or `auxiliary_directory`; `root` is
where the host's /sys and /dev are, empty for the root of the file system. Paths in answers are the
host's. All functions raise KernelError where sysfs cannot be read.
"""

import errno
import os
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from sriov_cni.kernel.errors import KernelError

VFIO_CONTROL = "/dev/vfio/vfio"
IOMMU = "/dev/iommu"
RDMA_CM = "/dev/infiniband/rdma_cm"
VHOST_NET = "/dev/vhost-net"
TUN = "/dev/net/tun"
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ENODEV, errno.EOPNOTSUPP)

Found = TypeVar("Found")


class VfioGroup(NamedTuple):
    """The nodes of a function bound to vfio-pci.

    `path` is the group's node as programs look for it, `host_path` where the kernel has it: they
    differ without an IOMMU (vfio_group_find_or_alloc() in drivers/vfio/group.c).
    """

    path: str
    host_path: str


class Rdma(NamedTuple):
    """The character devices of a function's RDMA devices, and the names of these (mlx5_4)."""

    names: tuple[str, ...]
    uverbs: tuple[str, ...]
    umad: tuple[str, ...]
    issm: tuple[str, ...]


def pci_directory(address: str, root: str = "") -> str:
    """Return the directory of a function on the PCI bus."""
    return f"{root}/sys/bus/pci/devices/{address}"


def auxiliary_directory(name: str, root: str = "") -> str:
    """Return the directory of a sub-function on the auxiliary bus."""
    return f"{root}/sys/bus/auxiliary/devices/{name}"


def is_there(path: str, root: str = "") -> bool:
    """Tell whether the host has a node or a directory of this path."""
    return _look(os.stat, f"{root}{path}") is not None


def driver(directory: str) -> str | None:
    """Return the name of the driver a function is bound to, None if it has none."""
    target = _look(os.readlink, f"{directory}/driver")
    return os.path.basename(target) if target is not None else None


def vfio_group(directory: str) -> VfioGroup | None:
    """Return the group's node of a function, None if it is in no IOMMU group."""
    target = _look(os.readlink, f"{directory}/iommu_group")
    group = os.path.basename(target) if target is not None else ""
    if not group.isdecimal():
        return None
    without_iommu = _look(_read, f"{directory}/iommu_group/name") == "vfio-noiommu"
    host_group = f"noiommu-{group}" if without_iommu else group
    return VfioGroup(f"/dev/vfio/{group}", f"/dev/vfio/{host_group}")


def vfio_device(directory: str) -> str | None:
    """Return the function's own vfio node, which programs use with /dev/iommu (Linux 6.6).

    None if the kernel has none (Documentation/userspace-api/iommufd.rst).
    """
    names = _names(f"{directory}/vfio-dev", "vfio")
    return f"/dev/vfio/devices/{names[0]}" if names else None


def uio(directory: str) -> str | None:
    """Return the node of a function bound to a UIO driver, None if it has none."""
    names = _names(f"{directory}/uio", "uio")
    return f"/dev/{names[0]}" if names else None


def rdma(directory: str) -> Rdma:
    """Return a function's RDMA character devices, empty where it has none."""
    return Rdma(
        tuple(_names(f"{directory}/infiniband", "")),
        _infiniband(f"{directory}/infiniband_verbs", "uverbs"),
        _infiniband(f"{directory}/infiniband_mad", "umad"),
        _infiniband(f"{directory}/infiniband_mad", "issm"),
    )


def _infiniband(directory: str, kind: str) -> tuple[str, ...]:
    return tuple(f"/dev/infiniband/{name}" for name in _names(directory, kind))


def _names(directory: str, kind: str) -> list[str]:
    names = _look(os.listdir, directory) or []
    return sorted(name for name in names if name.startswith(kind) and name.isprintable())


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(64).strip()


def _look(how: Callable[[str], Found], path: str) -> Found | None:
    try:
        return how(path)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise KernelError(error.errno or errno.EIO, f"reading {path}") from None

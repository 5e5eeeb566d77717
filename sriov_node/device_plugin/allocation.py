# SPDX-License-Identifier: Apache-2.0
"""What a container gets with a device: nodes, and variables that tell it what it has.

Names and formats are those of the SR-IOV network device plugin, which workloads parse.
"""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sriov_cni.kernel import nodes
from sriov_node.device_plugin.pool import Offer, Pool
from sriov_node.device_plugin.resource import Resource
from sriov_node.inventory.device import Device

_UIO = ("uio", "igb_uio", "uio_pci_generic")
_LONGEST = 80  # characters of a device's ID that an error repeats


class RefusedError(Exception):
    """A device cannot be given to a container now; `device` is its ID, `reason` says why."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(device, reason)
        self.device = device
        self.reason = reason

    def __str__(self) -> str:
        return f"device {self.device[:_LONGEST]!r}: {self.reason}"


class Node(NamedTuple):
    """A device node: where the container sees it, and where the host has it."""

    path: str
    host_path: str


class Share(NamedTuple):
    """What a container gets with one device: nodes, and information by provider and key."""

    nodes: tuple[Node, ...]
    info: Mapping[str, Mapping[str, str]]


class Allotment(NamedTuple):
    """What a container gets with all its devices of a resource, in the order they were asked for.

    `nodes` has no node of the host twice.
    """

    variables: Mapping[str, str]
    nodes: tuple[Node, ...]


def variable(resource: Resource) -> str:
    """Return the name of the variable that has the IDs; with _INFO, that of the information."""
    return f"PCIDEVICE_{resource.prefix}_{resource.short_name}".replace(".", "_").upper()


def allot(pool: Pool, ids: Iterable[str], root: str = "") -> Allotment:
    """Return what a container gets with these devices.

    `root` is where the host's /sys and /dev are. Raises RefusedError for a device that is not the
    pool's, not healthy, or by now not as its resource wants it; KernelError if sysfs cannot tell.
    """
    shares = {device_id: _share_of(pool, device_id, root) for device_id in ids}
    name = variable(pool.resource)
    info = {device_id: share.info for device_id, share in shares.items()}
    by_host_path = {node.host_path: node for share in shares.values() for node in share.nodes}
    variables = {name: ",".join(shares), f"{name}_INFO": _compact(info)}
    return Allotment(variables, tuple(by_host_path.values()))


def _share_of(pool: Pool, device_id: str, root: str) -> Share:
    offer = pool.offers.get(device_id)
    if offer is None:
        raise RefusedError(device_id, f"no device of {pool.resource.name}")
    if not offer.healthy:
        raise RefusedError(device_id, offer.reason)
    return share(pool.resource, offer, root)


def share(resource: Resource, offer: Offer, root: str = "") -> Share:
    """Return what a container gets with a device, as sysfs has it at this moment.

    Raises RefusedError if the device is gone, or has another driver than its selector wants, or
    lacks the node that its driver is used by; KernelError if sysfs cannot be read.
    """
    device, selector = offer.device, offer.selector
    directory = _directory(device, root)
    if not nodes.is_there(directory):
        raise RefusedError(device.id, "this machine does not have it any more")
    driver = nodes.driver(directory)
    if selector.drivers and driver not in selector.drivers:
        bound = f"bound to {driver}" if driver else "bound to no driver"
        wanted = " or ".join(selector.drivers)
        raise RefusedError(device.id, f"it is {bound} by now, {resource.name} has it for {wanted}")
    of_driver = _of_driver(device.id, directory, driver, root)
    of_rdma = _of_rdma(directory, root) if selector.is_rdma else Share((), {})
    of_vhost = _of_vhost(root) if selector.need_vhost_net else Share((), {})
    info = {"generic": {"deviceID": device.id}, **of_driver.info, **of_rdma.info, **of_vhost.info}
    if extra := _extra(resource, device.id):
        info["extra"] = extra
    return Share(of_driver.nodes + of_rdma.nodes + of_vhost.nodes, info)


def _directory(device: Device, root: str) -> str:
    if device.aux_type is not None:
        return nodes.auxiliary_directory(device.id, root)
    return nodes.pci_directory(device.address, root)


def _of_driver(device_id: str, directory: str, driver: str | None, root: str) -> Share:
    """Return what a program needs to drive the device itself; nothing where the kernel does."""
    if driver == "vfio-pci":
        return _of_vfio(device_id, directory, root)
    if driver in _UIO:
        path = nodes.uio(directory)
        if path is None:
            raise RefusedError(device_id, f"{driver} has not made a /dev/uio node for it")
        return Share((Node(path, path),), {"uio": {"mount": path}})
    return Share((), {})


def _of_vfio(device_id: str, directory: str, root: str) -> Share:
    group = nodes.vfio_group(directory)
    if group is None:
        raise RefusedError(device_id, "it is in no IOMMU group: does the kernel have its IOMMU on?")
    found = [Node(nodes.VFIO_CONTROL, nodes.VFIO_CONTROL), Node(group.path, group.host_path)]
    own = nodes.vfio_device(directory)
    if own is not None and nodes.is_there(nodes.IOMMU, root):
        found += [Node(own, own), Node(nodes.IOMMU, nodes.IOMMU)]
    info = {"vfio": {"mount": nodes.VFIO_CONTROL, "dev-mount": group.path}}
    return Share(tuple(found), info)


def _of_rdma(directory: str, root: str) -> Share:
    rdma = nodes.rdma(directory)
    paths = [*rdma.uverbs, *rdma.umad, *rdma.issm]
    info = {}
    for key, of_kind in (("uverbs", rdma.uverbs), ("umad", rdma.umad), ("issm", rdma.issm)):
        if of_kind:
            info[key] = of_kind[-1]
    if paths and nodes.is_there(nodes.RDMA_CM, root):
        paths.append(nodes.RDMA_CM)
        info["rdma_cm"] = nodes.RDMA_CM
    if rdma.names:
        info["rdma_dev"] = rdma.names[0]
    return Share(tuple(Node(path, path) for path in paths), {"rdma": info})


def _of_vhost(root: str) -> Share:
    paths = (nodes.VHOST_NET, nodes.TUN)
    if not all(nodes.is_there(path, root) for path in paths):
        return Share((), {})  # a module that is not loaded; the device is of use without it
    info = {"vhost": {"net-mount": nodes.VHOST_NET, "tun-mount": nodes.TUN}}
    return Share(tuple(Node(path, path) for path in paths), info)


def _extra(resource: Resource, device_id: str) -> Mapping[str, str]:
    additional = resource.additional_info
    return {**additional.get("*", {}), **additional.get(device_id, {})}


def _compact(document: object) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))

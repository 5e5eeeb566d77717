# SPDX-License-Identifier: Apache-2.0
"""Looking at the node: what its preparation goes by."""

import asyncio
from collections.abc import Iterable, Set
from contextlib import closing

from sriov_cni.kernel import bus, devlink, functions, links
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import Socket
from sriov_node.inventory.device import Device, Snapshot, State
from sriov_node.inventory.scan import Inventory
from sriov_node.preparation import witnesses
from sriov_node.preparation.facts import Facts, Pf, Vf
from sriov_node.preparation.wanted import Eswitch
from sriov_node.preparation.witnesses import Testimony


def look(inventory: Inventory, kubelet_dir: str, preparing: Set[str]) -> Facts:
    """Return what is the case now, except for PFs that others prepare.

    Raises KernelError if the kernel does not tell.
    """
    return facts(inventory.scan(), asyncio.run(witnesses.ask_kubelet(kubelet_dir)), preparing)


def facts(snapshot: Snapshot, kubelet: Testimony, preparing: Set[str]) -> Facts:
    """Return what is the case, beginning with what is known already; raise KernelError."""
    slots = functions.slots()
    vfs: dict[str, list[Vf]] = {}
    for device in snapshot.devices.values():
        if device.pf is not None and device.number is not None and device.aux_type is None:
            known = device.pf not in preparing
            vfs.setdefault(device.pf, []).append(_vf(device, device.number, known))
    with closing(Socket()) as host:
        pfs = {
            address: _pf(host, snapshot.devices[address], vfs.get(address, ()), slots)._replace(
                eswitch=_eswitch(address) if address not in preparing else None
            )
            for address in snapshot.pfs
        }
    return Facts(
        pfs=pfs,
        drivers=functions.registered_drivers(),
        modules=functions.loaded_modules(),
        has_iommu=functions.has_iommu(),
        no_iommu=functions.allows_no_iommu(),
        uses=witnesses.uses(snapshot, kubelet),
        preparing=frozenset(preparing),
    )


def _vf(device: Device, number: int, known: bool) -> Vf:
    override = functions.override(device.address) if known else ""
    return Vf(device.address, number, device.driver, override)


def _pf(host: Socket, device: Device, vfs: Iterable[Vf], slots: dict[str, str]) -> Pf:
    link = next(filter(None, (links.find(host, name) for name in device.netdevs)), None)
    return Pf(
        address=device.address,
        vendor=device.vendor,
        device=device.model,
        names=device.pf_names,
        macs=_macs(link) if link is not None else (),
        slot=slots.get(device.address.rpartition(".")[0], ""),
        driver=device.driver,
        total_vfs=bus.total_vfs(device.address) or 0,
        vfs=tuple(sorted(vfs, key=lambda vf: vf.number)),
        autoprobe=functions.autoprobe(device.address),
        mtu=link.mtu if link is not None else None,
        is_up=link.up if link is not None else None,
        host_use=device.use.reason if device.use.state is State.HOST else "",
    )


def _macs(link: Link) -> tuple[str, ...]:
    """Return the present MAC, which a bond may have given it, and the permanent one."""
    return tuple(dict.fromkeys(filter(None, (link.mac, link.permanent_mac))))


def _eswitch(address: str) -> Eswitch | None:
    try:
        mode = devlink.mode("pci", address)
    except KernelError:
        return None
    return Eswitch(mode) if mode is not None else None

# SPDX-License-Identifier: Apache-2.0
"""What is known of the node, gathered once for a command: by files, the kernel and kubelet.

No agent is asked: it may be what does not work.
"""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import NamedTuple

from sriov_cni.kernel import statistics
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.statistics import Vf
from sriov_node.device_plugin import sources
from sriov_node.device_plugin.assignment import Assignment, assign
from sriov_node.device_plugin.configuration import Configuration
from sriov_node.device_plugin.pool import Pool, filled
from sriov_node.inventory import ownership
from sriov_node.inventory.device import Device, Snapshot
from sriov_node.inventory.scan import Inventory
from sriov_node.kubelet import holder, paths
from sriov_node.kubelet.holder import Holder
from sriov_node.preparation import marker, observation, witnesses
from sriov_node.preparation.facts import Facts
from sriovctl import exits
from sriovctl.places import Places


class Picture(NamedTuple):
    """The node at one moment.

    `pools` is what an agent announces, by resource. `holders` are the containers that kubelet gave
    devices to, by device ID, None if it does not answer. `seen` is what PFs show of their VFs, by
    the PF's address and the VF's index. `preparing` are the PFs that some process prepares.
    """

    snapshot: Snapshot
    configuration: Configuration
    assignment: Assignment
    pools: Mapping[str, Pool]
    holders: Mapping[str, Holder] | None
    seen: Mapping[tuple[str, int], Vf]
    preparing: frozenset[str]

    def facts(self) -> Facts:
        """Return what preparation goes by; raise KernelError if the kernel does not tell."""
        kubelet = witnesses.given_to(self.holders or {})
        return observation.facts(self.snapshot, kubelet, self.preparing)

    def holder(self, device: Device) -> Holder | None:
        """Return the container that kubelet gave a device to."""
        return (self.holders or {}).get(device.id)

    def resource(self, device: Device) -> str:
        """Return the resource that a device is announced for, empty if none."""
        return next((name for name, pool in self.pools.items() if device.id in pool.offers), "")

    def vf(self, device: Device) -> Vf | None:
        """Return what the PF shows of a VF."""
        return self.seen.get((device.pf or "", -1 if device.number is None else device.number))

    def vfs(self) -> Iterator[Device]:
        """Yield the VFs and sub-functions, by PF and index."""
        devices = self.snapshot.devices.values()
        return iter(sorted((d for d in devices if d.pf is not None), key=_place))

    def pfs(self) -> Iterator[Device]:
        """Yield the PFs, by address."""
        return (self.snapshot.devices[address] for address in self.snapshot.pfs)


def take(places: Places) -> Picture:
    """Look at the node; raise Failed if the kernel does not tell of it."""
    try:
        snapshot = _scan(places.data_dir)
    except KernelError as error:
        raise exits.Failed(str(error)) from None
    holders = asyncio.run(holder.ask(places.kubelet_dir))
    wanted = sources.read_all(places.config_file, places.config_dir, places.resource_prefix)
    held = {device: holder.resource for device, holder in (holders or {}).items()}
    assignment = assign(wanted.resources, snapshot.devices.values(), held)
    preparing = marker.held()
    pools = {
        each.name: filled(
            each, assignment.taken[each.name], snapshot.devices, held, None, 0.0, preparing
        )
        for each in wanted.resources
    }
    seen = dict(_seen(snapshot))
    return Picture(snapshot, wanted, assignment, pools, holders, seen, preparing)


def _scan(data_dir: str) -> Snapshot:
    """Return the devices; raise KernelError.

    A device that is on the host in spite of a record is lost if that lasts, and nobody has its
    lock. Whoever looks once does not wait for that: the lock alone tells.
    """
    moments = [0.0]
    inventory = Inventory(data_dir, lambda: moments[-1], keeps=False)
    inventory.scan()
    moments.append(ownership.PATIENCE + 1)
    return inventory.scan()


def name_of_pf(device: Device) -> str:
    """Return the name of a device's PF, or its address where it has none; empty without PF."""
    return device.pf_names[0] if device.pf_names else device.pf or ""


def serving_sockets(places: Places) -> list[str]:
    """Return the sockets of agents at which somebody listens."""
    found = []
    for directory in (
        paths.device_plugins(places.kubelet_dir),
        paths.plugins_registry(places.kubelet_dir),
    ):
        with suppress(OSError):
            for name in sorted(os.listdir(directory)):
                if paths.is_socket_name(name) and listens(f"{directory}/{name}"):
                    found.append(f"{directory}/{name}")
    return found


def unregistered(places: Places, node: Picture) -> list[str]:
    """Return the resources with healthy devices that kubelet does not know of, though it could.

    No agent may serve it, or it may not answer: then that is what is wrong, and there are none.
    """
    if not serving_sockets(places):
        return []
    known = asyncio.run(holder.ask_resources(places.kubelet_dir))
    if known is None:
        return []
    offered = [n for n, p in node.pools.items() if any(o.healthy for o in p.offers.values())]
    return [name for name in offered if name not in known]


def listens(path: str) -> bool:
    """Tell whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(path)
        except OSError:
            return False
        return True


def _seen(snapshot: Snapshot) -> Iterator[tuple[tuple[str, int], Vf]]:
    try:
        with closing(Socket()) as host:
            for address in snapshot.pfs:
                for name in snapshot.devices[address].netdevs[:1]:
                    with suppress(KernelError):  # it is gone
                        for number, vf in statistics.of_vfs(host, name).vfs.items():
                            yield (address, number), vf
    except KernelError:
        return


def _place(device: Device) -> tuple[str, int, str]:
    return device.pf or "", -1 if device.number is None else device.number, device.id

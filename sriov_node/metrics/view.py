# SPDX-License-Identifier: Apache-2.0
"""What the agent knows at one moment, as values that no other thread changes."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sriov_node.device_plugin.pool import Pool
from sriov_node.fields import Fault
from sriov_node.inventory.device import Device, Snapshot, State
from sriov_node.kubelet.holder import Holder


class View(NamedTuple):
    """The agent's knowledge.

    `scanned`: devices have been looked at, at least once. `holders` are by device ID. `registered`
    tells of each resource whether kubelet follows its list. `registrations` and `failures` count
    calls of Register by resource. `faults` are those of the configuration. `scan_seconds` is what
    the last scan took. `in_desired_state` tells whether the node is as its files want it, None if
    they want nothing.
    """

    scanned: bool = False
    snapshot: Snapshot = Snapshot()
    pools: tuple[Pool, ...] = ()
    holders: Mapping[str, Holder] = {}
    registered: Mapping[str, bool] = {}
    registrations: Mapping[str, int] = {}
    failures: Mapping[str, int] = {}
    faults: tuple[Fault, ...] = ()
    scan_seconds: float = 0.0
    in_desired_state: bool | None = None


def lacks(view: View) -> tuple[str, ...]:
    """Return what keeps the agent from being ready, in words; empty if nothing does."""
    if not view.scanned:
        return ("devices have not been looked at yet",)
    unregistered = (
        f"{pool.resource.name}: kubelet does not follow its list"
        for pool in view.pools
        if not view.registered.get(pool.resource.name)
    )
    return (*map(str, view.faults), *unregistered)


def resources(view: View) -> Mapping[str, str]:
    """Return the resource that offers each device, by device ID."""
    return {device: pool.resource.name for pool in view.pools for device in pool.offers}


def virtual_functions(view: View) -> Iterator[Device]:
    """Yield the VFs and sub-functions, and whatever else a resource offers."""
    offered = resources(view)
    for device in view.snapshot.devices.values():
        if device.pf is not None or device.id in offered:
            yield device


def physical_functions(view: View) -> Iterator[Device]:
    """Yield the PFs."""
    for device_id in view.snapshot.pfs:
        yield view.snapshot.devices[device_id]


def in_state(view: View, state: State) -> list[Device]:
    """Return the devices in a state."""
    return [device for device in view.snapshot.devices.values() if device.use.state is state]

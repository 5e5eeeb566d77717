# SPDX-License-Identifier: Apache-2.0
"""Who uses a device: five witnesses. One that cannot be asked counts as one that says yes.

Sentences follow a device's address. A VF for which any is said is neither taken nor bound anew.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sriov_cni.kernel import functions, processes
from sriov_node.inventory.device import Device, Snapshot, State
from sriov_node.kubelet import holder, paths
from sriov_node.kubelet.holder import Holder

_VFIO = "/dev/vfio"
_CLAIMED = (State.ATTACHED, State.RETURNING, State.LOST)
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_LARGEST = 16 << 20  # bytes of a checkpoint


class Testimony(NamedTuple):
    """What witnesses say: `about` by address, `everywhere` of every device."""

    about: Mapping[str, list[str]]
    everywhere: tuple[str, ...] = ()


def uses(snapshot: Snapshot, kubelet: Testimony) -> dict[str, tuple[str, ...]]:
    """Return who uses which device, by address: one sentence per witness.

    `kubelet` is what `ask_kubelet` returned. Records, network devices that are elsewhere and the
    host's own use come with the snapshot; the host's use of a PF is none, since VFs do not take
    that away.
    """
    vfio = _vfio(snapshot.devices.values())
    found: dict[str, tuple[str, ...]] = {}
    for device in snapshot.devices.values():
        said = [
            *_of_snapshot(device),
            *kubelet.about.get(device.id, ()),
            *vfio.about.get(device.id, ()),
        ]
        if device.pf is not None:
            said += kubelet.everywhere
        if said:
            found[device.address] = (*found.get(device.address, ()), *said)
    return found


def _of_snapshot(device: Device) -> list[str]:
    """Return what records and network devices say."""
    use = device.use
    if use.state is State.HOST and device.number is None:
        return []
    if use.state in _CLAIMED or use.state in (State.ELSEWHERE, State.HOST):
        return [use.reason]
    return []


async def ask_kubelet(kubelet_dir: str) -> Testimony:
    """Return what kubelet gave to whom; from its checkpoint where it does not answer."""
    holders = await holder.ask(kubelet_dir)
    return _checkpoint(paths.checkpoint(kubelet_dir)) if holders is None else given_to(holders)


def given_to(holders: Mapping[str, Holder]) -> Testimony:
    """Return what kubelet gave to whom, as pod_resources.py has it."""
    return Testimony(
        {
            device: [f"was given to container {h.container} of pod {h.namespace}/{h.pod}"]
            for device, h in holders.items()
        }
    )


def _checkpoint(path: str) -> Testimony:
    """Return what kubelet had given to whom when it last wrote that down.

    One of an earlier boot tells nothing: no pod of that is left. Without one no pod was ever given
    anything, since kubelet writes it before a pod starts. Its format is that of kubelet's
    cm/devicemanager/checkpoint.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mtime < _boot_time():
                return Testimony({})
            entries = json.loads(file.read(_LARGEST))["Data"]["PodDeviceEntries"] or []
        about: dict[str, list[str]] = {}
        for entry in entries:
            for device in _ids(entry["DeviceIDs"]):
                said = (
                    f"was given to container {entry['ContainerName']} of pod {entry['PodUID']}, "
                    "says kubelet's checkpoint"
                )
                about.setdefault(device, []).append(said)
    except FileNotFoundError:
        return Testimony({})
    except (OSError, *_DAMAGED) as error:
        said = f"may be a pod's: kubelet does not answer, and {path} cannot be read ({error})"
        return Testimony({}, (said,))
    return Testimony(about)


def _ids(listed: Any) -> list[str]:
    """Return device IDs: a list for each NUMA node, of old kubelets one list."""
    groups = list(listed.values()) if isinstance(listed, dict) else [listed]
    if not all(isinstance(group, list) for group in groups):
        raise ValueError("DeviceIDs are no lists")
    return [str(device) for group in groups for device in group]


def _boot_time() -> float:
    """Return a time, in seconds since the epoch, that no file of this boot is older than.

    The kernel computes the boot's time (btime in proc(5)) from the present clock: if that was set
    forward since then, files seem older than the boot. /dev/null keeps the clock of its making.
    """
    with open("/proc/stat", encoding="ascii") as file:
        computed = next(float(line.split()[1]) for line in file if line.startswith("btime "))
    return min(computed, os.stat("/dev/null").st_ctime)


def _vfio(devices: Iterable[Device]) -> Testimony:
    """Return which programs have a device open by vfio."""
    bound = [d for d in devices if (d.driver or "").startswith("vfio") and d.aux_type is None]
    if not bound:
        return Testimony({})
    unknown = "may be open in a program: this process does not see what all others have open"
    try:
        users = processes.having_open(_VFIO) if processes.sees_all() else None
    except processes.HiddenError:
        users = None
    if users is None:
        return Testimony({device.id: [unknown] for device in bound})
    about: dict[str, list[str]] = {}
    for device in bound:
        nodes = [f"{_VFIO}/{device.iommu_group}", f"{_VFIO}/noiommu-{device.iommu_group}"]
        nodes += [f"{_VFIO}/devices/{name}" for name in functions.vfio_nodes(device.address)]
        said = [f"is open in {users[node]}" for node in nodes if node in users]
        if said:
            about[device.id] = said
    return Testimony(about)

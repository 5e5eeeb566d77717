# SPDX-License-Identifier: Apache-2.0
"""Which resource gets which device.

The order of the resources decides, as with the established SR-IOV device plugin: the first that
takes a device has it. What a pod holds stays where it is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.device_plugin.selectors import Refusal, taker_of
from sriov_node.inventory.device import Device, State

_NETWORK = 0x02  # the PCI base class of network controllers (include/linux/pci_ids.h)


class Assignment(NamedTuple):
    """The devices of each resource, and why the others have none.

    `taken` is by resource name, in the order of the resources, then by device ID, in the order of
    PCI addresses and of numbers: the selector that took it. `refused` is by device ID, in words.
    `refusals` is by resource name: how many devices each key refused.
    """

    taken: Mapping[str, Mapping[str, Selector]]
    refused: Mapping[str, str]
    refusals: Mapping[str, Mapping[str, int]]


def assign(
    resources: Sequence[Resource], devices: Iterable[Device], held: Mapping[str, str]
) -> Assignment:
    """Give each device to at most one resource.

    `held` is what kubelet says that pods have, by device ID: the full name of the resource they
    have it from. That one keeps the device, whatever its selectors say now, and no other gets it.
    """
    takers = {resource.name: taker_of(resource) for resource in resources}
    first = {resource.name: next(iter(resource.selectors), Selector()) for resource in resources}
    taken: dict[str, dict[str, Selector]] = {name: {} for name in takers}
    refused: dict[str, str] = {}
    refusals: dict[str, Counter[str]] = {name: Counter() for name in takers}
    for device in sorted(devices, key=_place):
        holder = held.get(device.id)
        if holder in takers:
            answer = takers[holder](device)
            taken[holder][device.id] = first[holder] if isinstance(answer, Refusal) else answer
            continue
        reasons = [_why_for_none(device, holder)]
        for name, take in takers.items() if not reasons[0] else ():
            answer = take(device)
            if isinstance(answer, Selector):
                taken[name][device.id] = answer
                break
            refusals[name][" and ".join(dict.fromkeys(answer.keys))] += 1
            reasons.append(f"{name}: {answer.text}")
        else:
            refused[device.id] = "; ".join(filter(None, reasons)) or "no resource is configured"
    return Assignment(taken, refused, refusals)


def summary(assignment: Assignment, name: str) -> str:
    """Return what a resource got, and how many devices which key of it refused: one line."""
    refusals = assignment.refusals[name]
    keys = sorted(refusals, key=lambda key: (-refusals[key], key))
    counts = ", ".join(f"{refusals[key]} by {key}" for key in keys)
    return f"{name}: devices: {len(assignment.taken[name])}; refused: {counts or 'none'}"


def _place(device: Device) -> tuple[str, int, str]:
    return device.address, -1 if device.number is None else device.number, device.id


def _why_for_none(device: Device, holder: str | None) -> str:
    """Return why no resource may have a device at all, empty if one may."""
    if holder is not None:
        return f"a pod has it as {holder}, and no such resource is configured"
    if device.aux_type is None and device.class_code >> 16 != _NETWORK:
        return f"its PCI class is {device.class_code:#08x}, and that of network devices 0x02...."
    if device.enabled_vfs:
        return f"it is a PF with {device.enabled_vfs} VFs, which are offered in its place"
    if device.use.state is State.HOST:
        return f"the host uses it: {device.use.reason}"
    if device.driver is None:
        return "it is bound to no driver"
    return ""

# SPDX-License-Identifier: Apache-2.0
"""What is true of any configuration of the device plugin and of what follows from it."""

from collections.abc import Iterator

from sriov_node.device_plugin.assignment import assign, summary
from sriov_node.device_plugin.configuration import Configuration
from sriov_node.inventory.device import State, Use
from tests.nics import infiniband_vf, pf, sub_function, vf

DEVICES = (
    *(vf(index, of) for index in range(3) for of in (0, 1)),
    *(vf(4, driver="vfio-pci"), vf(5, driver=None), pf(0), pf(1, enabled_vfs=0)),
    *(infiniband_vf(0), infiniband_vf(1), sub_function(9), sub_function(10)),
    vf(6)._replace(use=Use(State.HOST, "address")),
)


def broken_rules(found: Configuration) -> Iterator[str]:
    """Yield what is wrong: it can be told, line by line, and served, device by device."""
    result = assign(found.resources, DEVICES, {})
    names = [resource.name for resource in found.resources]
    lines = [*map(str, found.faults), *found.warnings, *result.refused.values()]
    lines += [summary(result, name) for name in names]
    yield from (f"not one line: {line!r}" for line in lines if not line.isprintable())
    if len(set(names)) < len(names):
        yield f"not unique: {names}"
    if not all(resource.selectors for resource in found.resources):
        yield "no selectors"
    if served := {fault.resource for fault in found.faults} & set(names):
        yield f"served in spite of a fault: {served}"
    places = [device for devices in result.taken.values() for device in devices]
    if sorted([*places, *result.refused]) != sorted(device.id for device in DEVICES):
        yield f"not each device at one place: {result}"

# SPDX-License-Identifier: Apache-2.0
"""Which of a resource's selectors takes a device, or why none does.

The rules are those of the established SR-IOV device plugin; its keys are asked in its order.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sriov_node.device_plugin.members import written
from sriov_node.device_plugin.resource import Members, Resource, Selector
from sriov_node.inventory.device import Device

_MOST_SHOWN = 5  # values in a refusal
_EVERY = ((0, (1 << 32) - 1),)


class Refusal(NamedTuple):
    """Why a resource does not take a device.

    `keys` has the first key that refuses of each selector, `text` the same with the values.
    """

    keys: tuple[str, ...]
    text: str


class _Criterion(NamedTuple):
    """One key of a selector: whether a device fits, and what it is instead."""

    key: str
    fits: Callable[[Device], bool]
    found: Callable[[Device], str]
    wanted: str


Taker = Callable[[Device], Selector | Refusal]


def taker(resource: Resource, device: Device) -> Selector | Refusal:
    """Return the first selector that takes the device, or why none does."""
    return taker_of(resource)(device)


def taker_of(resource: Resource) -> Taker:
    """Return `taker` for many devices of one resource: the values are made sets once."""
    prepared = tuple((selector, tuple(_criteria(selector))) for selector in resource.selectors)

    def take(device: Device) -> Selector | Refusal:
        if resource.auxiliary != (device.aux_type is not None):
            kind = "no sub-function" if resource.auxiliary else "a sub-function"
            return Refusal(("deviceType",), f"deviceType: it is {kind}")
        refusing = []
        for selector, criteria in prepared:
            criterion = next((c for c in criteria if not c.fits(device)), None)
            if criterion is None:
                return selector
            refusing.append(criterion)
        texts = [f"{c.key}: {c.found(device)}, wanted is {c.wanted}" for c in refusing]
        if len(texts) > 1:
            texts = [f"selectors[{index}].{text}" for index, text in enumerate(texts)]
        return Refusal(tuple(c.key for c in refusing), "; ".join(texts))

    return take


def _criteria(selector: Selector) -> Iterator[_Criterion]:
    yield from _among("vendors", selector.vendors, lambda d: d.vendor, "vendor is")
    yield from _among("devices", selector.devices, lambda d: d.model, "device is")
    yield from _among("drivers", selector.drivers, lambda d: d.driver, "bound to")
    yield from _among("pciAddresses", selector.pci_addresses, lambda d: d.address, "address is")
    yield from _among("acpiIndexes", selector.acpi_indexes, lambda d: d.acpi_index, "index is")
    yield from _among("auxTypes", selector.aux_types, lambda d: d.aux_type, "type is")
    yield from _part_of("pfNames", selector.pf_names, lambda d: d.pf_names)
    yield from _part_of("rootDevices", selector.root_devices, lambda d: (d.pf or "",))
    yield from _among("linkTypes", selector.link_types, lambda d: d.link_type, "link type is")
    if selector.is_rdma:
        yield _Criterion(
            "isRdma",
            fits=lambda d: bool(d.rdma),
            found=lambda d: "it has no RDMA device",
            wanted="one that has",
        )


def _among(
    key: str, values: tuple[str, ...], of: Callable[[Device], str | None], words: str
) -> Iterator[_Criterion]:
    """Yield the criterion that a device has one of some values; nothing if there are none."""
    if values:
        wanted = frozenset(values)
        yield _Criterion(
            key,
            fits=lambda d: of(d) in wanted,
            found=lambda d: f"{words} {of(d) or 'unknown'}",
            wanted=_one_of(values),
        )


def _part_of(
    key: str, items: tuple[Members, ...], names: Callable[[Device], tuple[str, ...]]
) -> Iterator[_Criterion]:
    """Yield the criterion that a device belongs to a PF, with one of the numbers wanted of it."""
    if not items:
        return
    numbers: dict[str, list[tuple[int, int]]] = {}
    for item in items:
        numbers.setdefault(item.pf.lower(), []).extend(item.ranges or _EVERY)

    def fits(device: Device) -> bool:
        number = device.number
        if device.pf is None or number is None:
            return False
        listed = (numbers.get(name.lower(), ()) for name in names(device))
        return any(first <= number <= last for ranges in listed for first, last in ranges)

    def found(device: Device) -> str:
        if device.pf is None or device.number is None:
            return "it is part of no PF"
        kind = "VF" if device.aux_type is None else "sub-function"
        return f"{kind} {device.number} of {(*names(device), device.pf)[0]}"

    yield _Criterion(key, fits, found, _one_of([written(item) for item in items]))


def _one_of(values: Sequence[str]) -> str:
    """Return values as a sentence has them, and not all of many."""
    shown = list(values[:_MOST_SHOWN])
    if len(values) > len(shown):
        shown.append(f"{len(values) - len(shown)} others")
    return " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))

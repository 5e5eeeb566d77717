# SPDX-License-Identifier: Apache-2.0
"""Restoring a function that is home again to its state before the attachment.

Each part is restored by itself, so that one that is refused keeps no other from it.
"""

import errno
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from sriov_cni.device import mac, vf
from sriov_cni.device.pci import PciFunction, slot_of
from sriov_cni.device.snapshot import Device, Snapshot
from sriov_cni.kernel import links
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.patience import BUSY, patiently

_ENOTSUPP = 524  # include/linux/errno.h; drivers let it escape
# Time does not cure these: the driver cannot do it, or not any more (the PF's MTU or mode changed).
_FINAL = (
    errno.EINVAL,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.ERANGE,
    errno.EADDRNOTAVAIL,
    errno.EPROTONOSUPPORT,
    _ENOTSUPP,
)


class Restored(NamedTuple):
    """The outcome: `problems` may pass with a retry, `refused` changes will not.

    `remarks` are worth a line in a log.
    """

    problems: list[str]
    refused: list[str]
    remarks: list[str]


Step = Callable[[], "str | None"]  # makes one change; may return a remark


def restore(host: Socket, function: PciFunction, before: Snapshot, link: Link | None) -> Restored:
    """Restore a function that is back on the host; return the changes that failed.

    Without a device (`link` None) only the attributes that the PF administers are restored.
    """
    restored = Restored([], [], [])
    try:
        for step in _steps(host, function, before, link):
            try:
                if remark := step():
                    restored.remarks.append(remark)
            except KernelError as refusal:
                if refusal.errno not in _FINAL:
                    restored.problems.append(str(refusal))
                else:
                    restored.refused.append(str(refusal))
                if refusal.errno in BUSY:
                    break  # the others would wait as long
    except KernelError as error:
        restored.problems.append(str(error))
    restored.refused.extend(detach_xdp(host, link) if link is not None else [])
    return restored


def detach_xdp(host: Socket, link: Link) -> list[str]:
    """Detach all XDP programs of a device; return the refusals.

    One that a BPF link holds goes only with that.
    """
    refused = []
    for mode in link.xdp:
        try:
            links.detach_xdp(host, link, mode)
        except KernelError as refusal:
            refused.append(str(refusal))
    return refused


def _steps(
    host: Socket, function: PciFunction, before: Snapshot, link: Link | None
) -> Iterator[Step]:
    """Yield the steps back; raises KernelError if the function cannot be looked at."""
    device, attributes = before
    if link is not None and device is not None:
        yield from _device_steps(host, link, device)
    slot = slot_of(function)
    if slot is not None and attributes is not None:
        now = vf.attributes(host, slot)
        if now is not None:
            yield from vf.attribute_steps(host, slot, now, attributes)
    administrative = attributes.mac if attributes is not None else None
    own = device.mac if device is not None else None
    yield from mac.restoring_steps(host, slot, link, administrative, own)
    if link is not None and device is not None and device.up:
        yield partial(patiently, links.set_up, host, link, True)


def _device_steps(host: Socket, link: Link, before: Device) -> Iterator[Step]:
    """Yield the steps that restore a device, MAC excepted; it ends down."""
    if link.up:
        yield partial(patiently, links.set_up, host, link, False)
    for name in link.alternative_names:
        if name not in before.alternative_names:  # the pod's; it may even be the name wanted next
            yield partial(links.remove_alternative_name, host, link, name)
    if link.name != before.name:
        yield partial(_give_name, host, link, before.name)
    for name in before.alternative_names:
        if name not in link.alternative_names:
            yield partial(_give_alternative_name, host, link, name)
    if before.mtu not in (0, link.mtu):
        yield partial(patiently, links.set_mtu, host, link, before.mtu)
    if before.settings is not None:
        now = link.settings._asdict()
        for name, value in before.settings._asdict().items():
            if value not in (None, now[name]):
                yield partial(links.set_setting, host, link, name, value)


def _give_name(host: Socket, link: Link, name: str) -> str | None:
    """Give a device its name back, unless another device has taken that meanwhile."""
    try:
        links.rename(host, link, name)
    except KernelError as refusal:
        if remark := _taken(host, link, name, refusal):
            return remark
        links.remove_alternative_name(host, link, name)  # from udev for example
        links.rename(host, link, name)
    return None


def _give_alternative_name(host: Socket, link: Link, name: str) -> str | None:
    """Give a device an alternative name back, unless it has that, or another device."""
    try:
        links.add_alternative_name(host, link, name)
    except KernelError as refusal:
        return _taken(host, link, name, refusal)
    return None


def _taken(host: Socket, link: Link, name: str, refusal: KernelError) -> str | None:
    """Return a remark if another device has a name, None if the device itself has it.

    Raises the refusal if it has another reason.
    """
    owner = links.find(host, name) if refusal.errno == errno.EEXIST else None
    if owner is None:
        raise refusal
    if owner.ifindex != link.ifindex:
        return f"{link.name} is not {name} again: another device has that name"
    return None

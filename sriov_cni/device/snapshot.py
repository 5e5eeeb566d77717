# SPDX-License-Identifier: Apache-2.0
"""A function's state before an attachment, to be restored after it."""

from typing import NamedTuple

from sriov_cni.device import vf
from sriov_cni.device.pci import OnHost
from sriov_cni.kernel import links
from sriov_cni.kernel.links import Settings
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.vfs import VfAttributes


class Device(NamedTuple):
    """A network device before an attachment changed it; `parent` as links.pci_address() has it.

    An `mtu` of 0 is unknown: old releases of the Go plugin did not keep it. So are `settings` that
    are None: records of the first release have none.
    """

    name: str
    alternative_names: tuple[str, ...]
    mac: str
    mtu: int
    up: bool
    parent: str
    settings: Settings | None = None


class Snapshot(NamedTuple):
    """A function on the host before an attachment changed it.

    `device` is None for a VF without network device (its driver serves user space), `attributes`
    where nobody administers the function: the PF's driver cannot, or it is a PF itself.
    """

    device: Device | None
    attributes: VfAttributes | None


def take(host: Socket, there: OnHost) -> Snapshot:
    """Return the state to restore later; raise KernelError."""
    device, link = None, there.link
    if link is not None:
        device = Device(
            name=link.name,
            alternative_names=link.alternative_names,
            mac=link.mac,
            mtu=link.mtu,
            up=link.up,
            parent=links.pci_address(host, link),
            settings=link.settings,
        )
    return Snapshot(device, vf.attributes(host, there.slot) if there.slot is not None else None)

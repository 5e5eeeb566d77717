# SPDX-License-Identifier: Apache-2.0
"""`sriovctl pfs`, `vfs` and `attachments`: the node's devices as tables, or as JSON."""

import time
from collections.abc import Iterator
from typing import Any

import click

from sriov_cni.attachment.record import FileName
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.errors import CniError
from sriov_cni.kernel import bus
from sriov_cni.kernel.vfs import NO_MAC
from sriov_node.inventory.device import Device, State
from sriovctl import console, devices, exits, picture
from sriovctl.picture import Picture, name_of_pf
from sriovctl.places import Places, pass_places

_PF_COLUMNS = console.columns(
    *("PF name", "ADDRESS address", "DRIVER driver", "VFS vfs", "MAX totalVfs", "IN USE inUse"),
    "CARRIER carrier",
    wide=("NUMA numaNode", "VENDOR vendor", "DEVICE device", "OTHER NAMES alternativeNames"),
)
_VF_COLUMNS = console.columns(
    *("PF pf", "VF vf", "ADDRESS address", "DRIVER driver", "NETDEV netdev", "MAC mac"),
    *("VLAN vlan", "STATE state", "POD pod", "RESOURCE resource"),
    wide=(
        *("INTERFACE interface", "NETWORK network", "CONTAINER container", "NUMA numaNode"),
        *("IOMMU iommuGroup", "VENDOR vendor", "DEVICE device", "REASON reason"),
    ),
)
_ATTACHMENT_COLUMNS = console.columns(
    *("ADDRESS address", "VF vf", "POD pod", "INTERFACE interface", "NETWORK network"),
    *("STATE state", "AGE age"),
    wide=("CONTAINER container", "NETNS netns", "RESOURCE resource"),
)


@click.command(epilog="\b\nExamples:\n  sriovctl pfs\n  sriovctl pfs -o json | jq '.[].name'")
@console.output_option
@pass_places
def pfs(places: Places, form: str) -> None:
    """List the PFs: how many VFs each has, and how many are in use."""
    node = picture.take(places)
    console.show(form, _PF_COLUMNS, [_pf(node, device) for device in node.pfs()])


@click.command(
    epilog="\b\nExamples:\n  sriovctl vfs\n  sriovctl vfs ens1f0 -o wide\n"
    "  sriovctl vfs -o json | jq '.[] | select(.state == \"lost\")'"
)
@click.argument("pf", required=False, shell_complete=devices.complete_pf)
@console.output_option
@pass_places
def vfs(places: Places, pf: str | None, form: str) -> None:
    """List the VFs, of all PFs or of one, and who has each."""
    node = picture.take(places)
    owner = devices.pf(node, pf).id if pf is not None else None
    values = [_vf(node, device) for device in node.vfs() if owner in (None, device.pf)]
    console.show(form, _VF_COLUMNS, values)


@click.command(epilog="\b\nExamples:\n  sriovctl attachments\n  sriovctl attachments -o wide")
@console.output_option
@pass_places
def attachments(places: Places, form: str) -> None:
    """List the attachments that have records: which pod has which VF.

    `returned` stands for a VF that is home while IPAM still has to release addresses, `unrestored`
    for one that a driver would not restore, `damaged` for a record that was set aside.
    """
    node = picture.take(places)
    try:
        values = list(_attachments(places, node))
    except CniError as error:
        raise exits.Failed(str(error)) from None
    console.show(form, _ATTACHMENT_COLUMNS, values)


def _pf(node: Picture, device: Device) -> dict[str, Any]:
    theirs = [vf for vf in node.vfs() if vf.pf == device.id]
    return {
        "name": next(iter(device.netdevs), None),
        "address": device.address,
        "driver": device.driver,
        "vfs": device.enabled_vfs,
        "totalVfs": bus.total_vfs(device.address),
        "inUse": sum(
            vf.use.state is not State.FREE or vf.id in (node.holders or {}) for vf in theirs
        ),
        "carrier": device.carrier,
        "numaNode": device.numa_node,
        "vendor": device.vendor,
        "device": device.model,
        "alternativeNames": [name for name in device.pf_names if name not in device.netdevs],
    }


def _vf(node: Picture, device: Device) -> dict[str, Any]:
    seen, holder = node.vf(device), node.holder(device)
    return {
        "pf": name_of_pf(device),
        "vf": device.number,
        "address": device.id,
        "driver": device.driver,
        "netdev": next(iter(device.netdevs), None),
        "mac": seen.mac if seen is not None and seen.mac != NO_MAC else None,
        "vlan": seen.vlan or None if seen is not None else None,
        "state": device.use.state.value,
        "pod": f"{holder.namespace}/{holder.pod}" if holder is not None else None,
        "resource": node.resource(device) or None,
        "interface": device.use.interface or None,
        "network": device.use.network or None,
        "container": device.use.container or None,
        "numaNode": device.numa_node,
        "iommuGroup": device.iommu_group,
        "vendor": device.vendor,
        "device": device.model,
        "reason": device.use.reason or None,
    }


def _attachments(places: Places, node: Picture) -> Iterator[dict[str, Any]]:
    records = AttachmentRecords.existing(places.data_dir)
    if records is None:
        return
    with records.directory() as directory:
        names = directory.names()
        for name in sorted(names):
            prefix, _, rest = name.partition("-") if name.startswith("damaged-") else ("", "", name)
            parsed = FileName.parse(rest)
            address = parsed.claim if parsed is not None else name.partition(",")[2]
            is_note = name.startswith("unrestored,")
            if parsed is None and not is_note:
                continue
            age = time.time() - directory.modified(name)
            yield _attachment(node, address, parsed, "unrestored" if is_note else prefix, age)


def _attachment(
    node: Picture, address: str, name: FileName | None, kind: str, age: float
) -> dict[str, Any]:
    device = node.snapshot.devices.get(address)
    holder = node.holder(device) if device is not None else None
    use = device.use if device is not None and name is not None and not kind else None
    if not kind:
        kind = "returned" if name is not None and not name.is_claim else ""
    return {
        "address": address if device is not None or kind == "unrestored" else None,
        "vf": f"{name_of_pf(device)}#{device.number}" if device is not None else None,
        "pod": f"{holder.namespace}/{holder.pod}" if holder is not None else None,
        "interface": name.owner.ifname if name is not None else None,
        "network": use.network or None if use is not None else None,
        "state": kind or (use.state.value if use is not None and use.container else "gone"),
        "age": _span(age),
        "container": name.owner.container_id if name is not None else None,
        "netns": use.netns or None if use is not None else None,
        "resource": node.resource(device) or None if device is not None else None,
    }


def _span(seconds: float) -> str:
    """Return a span of time as kubectl writes it."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(int(seconds), 0)}s"

# SPDX-License-Identifier: Apache-2.0
"""Checks of what the plugin, the agent and others keep in files."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from sriov_cni.attachment import goplugin
from sriov_cni.attachment.record import FileName
from sriov_cni.attachment.records import AttachmentRecords, UnreadableError
from sriov_cni.cni.errors import CniError
from sriov_cni.kernel import netns
from sriov_cni.kernel.errors import KernelError
from sriov_node.device_plugin import cdi, device_info
from sriov_node.inventory.device import State
from sriov_node.preparation import marker
from sriovctl.doctor.finding import Check, Finding, Node

_LONG = 600.0  # seconds that a preparation may take
_STALE = 3600.0  # seconds after which a file that is being written belongs to nobody


def unusable_directory(node: Node) -> Iterator[Finding]:
    """Yield why the state directory cannot be used."""
    try:
        AttachmentRecords.existing(node.places.data_dir)
    except CniError as error:
        yield Finding(str(error), f"make {node.places.data_dir} a directory of root's, mode 0700")


def lost_vfs(node: Node) -> Iterator[Finding]:
    """Yield VFs that came back from a pod without a DEL."""
    for device in node.picture.vfs():
        if device.use.state is State.LOST:
            yield Finding(
                f"{device.id} {device.use.reason}, and has been on the host for long: its pod "
                "ended without a DEL; the VF's next ADD restores it",
                f"sriovctl release {device.use.container} {device.use.interface}".rstrip(),
            )


def pods_that_are_gone(node: Node) -> Iterator[Finding]:
    """Yield records whose pod has no network namespace any more, and that kubelet does not know."""
    if node.picture.holders is None:
        return
    for device in node.picture.snapshot.devices.values():
        use = device.use
        if use.state is State.ATTACHED and use.netns and device.id not in node.picture.holders:
            with suppress(KernelError):
                if not netns.exists(use.netns):
                    yield Finding(
                        f"{device.id} {use.reason}, but {use.netns} is gone and kubelet knows "
                        "of no pod with this device",
                        f"sriovctl release {use.container} {use.interface}".rstrip(),
                    )


def damaged_records(node: Node) -> Iterator[Finding]:
    """Yield records that cannot be read, and those that were set aside."""
    for path, name, parsed, records in _files(node):
        if name.startswith("damaged-"):
            yield Finding(f"{path} was set aside: it cannot be read", f"rm {path}")
        elif parsed is not None:
            try:
                records.read(parsed)
            except UnreadableError as error:
                remedy = f"rm {path}" if not error.newer else "install that release again"
                yield Finding(str(error), remedy)


def unrestored_vfs(node: Node) -> Iterator[Finding]:
    """Yield VFs that a driver would not restore after a pod."""
    for path, name, _, _ in _files(node):
        if name.startswith("unrestored,"):
            address = name.partition(",")[2]
            yield Finding(
                f"{address} is not as it was before a pod, since its driver refused to restore it; "
                f"its next ADD tries again. {path} says what is missing",
                f"restore it by hand and: rm {path}",
            )


def unfinished_files(node: Node) -> Iterator[Finding]:
    """Yield files that a killed ADD was writing."""
    directory = node.places.data_dir
    with suppress(OSError):
        for name in sorted(os.listdir(directory)):
            path = f"{directory}/{name}"
            if name.startswith(".new-") and time.time() - os.lstat(path).st_mtime > _STALE:
                yield Finding(f"{path} is what a killed ADD was writing", f"rm {path}")


def go_plugins_claims(node: Node) -> Iterator[Finding]:
    """Yield claims of the Go plugin for pods that are gone."""
    with suppress(CniError):
        records = AttachmentRecords.existing(node.places.data_dir)
        for address in goplugin.claimed(records) if records is not None else ():
            pod = goplugin.pod_of(records, address) if records is not None else ""
            with suppress(KernelError):
                if pod and not netns.exists(pod):
                    path = f"{node.places.data_dir}/pci/{address}"
                    yield Finding(
                        f"{path} says that the Go plugin gave {address} to a pod that is gone; the "
                        "VF's next ADD restores it",
                        f"sriovctl release {address}",
                    )


def stale_files_for_multus(node: Node) -> Iterator[Finding]:
    """Yield files about devices that no resource has, for Multus and the container runtime."""
    wanted = {file for pool in node.picture.pools.values() for file in device_info.contents(pool)}
    prefixes = tuple(f"{name.replace('/', '-')}-" for name in node.picture.pools)
    for name in _listed(node.around.device_info):
        if name.startswith(prefixes or ("\0",)) and name not in wanted:
            path = f"{node.around.device_info}/{name}"
            yield Finding(f"{path} is about a device that its resource has not", f"rm {path}")
    kinds = {cdi.file_name(name) for name in node.picture.pools}
    for name in _listed(node.around.cdi):
        if name.startswith("sriov-") and name.endswith(".json") and name not in kinds:
            path = f"{node.around.cdi}/{name}"
            yield Finding(f"{path} is about a resource that this node has not", f"rm {path}")


def hanging_preparation(node: Node) -> Iterator[Finding]:
    """Yield preparations that take too long."""
    for pf in sorted(marker.held(node.around.preparing)):
        path = f"{node.around.preparing}/{pf}"
        with suppress(OSError):
            age = time.time() - os.stat(path).st_mtime
            if age > _LONG:
                yield Finding(
                    f"{pf} has been prepared for {age / 60:.0f} minutes: a driver hangs, or "
                    "`node apply --wait` waits for a pod",
                    f"fuser -v {path} tells the process; dmesg, what its driver says",
                )


def _files(node: Node) -> Iterator[tuple[str, str, FileName | None, AttachmentRecords]]:
    try:
        records = AttachmentRecords.existing(node.places.data_dir)
        if records is None:
            return
        with records.directory() as directory:
            names = sorted(directory.names())
    except CniError:
        return  # another check's
    for name in names:
        yield f"{node.places.data_dir}/{name}", name, FileName.parse(name), records


def _listed(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


CHECKS = (
    Check("state-directory", "a state directory that cannot be used", unusable_directory),
    Check("lost", "VFs that came back from a pod without a DEL", lost_vfs),
    Check("gone-pod", "records of pods that are gone", pods_that_are_gone),
    Check("record", "records that cannot be read, or were set aside", damaged_records),
    Check("unrestored", "VFs that a driver would not restore", unrestored_vfs),
    Check("unfinished", "files that a killed ADD left", unfinished_files),
    Check("go-plugin", "the Go plugin's claims for pods that are gone", go_plugins_claims),
    Check("stale-file", "files for Multus and the runtime about no device", stale_files_for_multus),
    Check("preparing", "a preparation that hangs", hanging_preparation),
)

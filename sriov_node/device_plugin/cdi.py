# SPDX-License-Identifier: Apache-2.0
"""A resource's devices for runtimes that put devices into containers themselves (CDI).

Container Device Interface, SPEC.md of github.com/cncf-tags/container-device-interface. Version
0.5.0 is the lowest that has hostPath, and names that begin with a digit, as PCI addresses do.
"""

import json
import os
import re
from collections.abc import Collection
from contextlib import suppress

from sriov_cni.kernel.errors import KernelError
from sriov_node.device_plugin.allocation import Node, RefusedError, share, variable
from sriov_node.device_plugin.pool import Pool

DIRECTORY = "/var/run/cdi"
_VERSION = "0.5.0"
_MOST = 1 << 24  # bytes of a file that is read
_PART = re.compile(r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")


def is_kind(resource: str) -> bool:
    """Tell whether CDI can have a resource of this name: its parts must begin with a letter."""
    vendor, _, kind = resource.partition("/")
    return bool(_PART.fullmatch(vendor) and _PART.fullmatch(kind) and "." not in kind)


def file_name(resource: str) -> str:
    """Return the name of the resource's file in the directory."""
    return f"sriov-{resource.replace('/', '_')}.json"


def device_name(resource: str, device_id: str) -> str:
    """Return a device's full name, which kubelet passes on to the runtime."""
    return f"{resource}={device_id}"


def specification(pool: Pool, root: str = "") -> dict[str, bytes]:
    """Return the resource's file by its name; none if it has no device that can be given away.

    `root` is where the host's /sys and /dev are. The nodes are those of this moment.
    """
    devices = []
    for device_id, offer in pool.offers.items():
        try:
            found = share(pool.resource, offer, root).nodes
        except (RefusedError, KernelError):
            continue  # Allocate refuses it, too, and says why
        devices.append({"name": device_id, "containerEdits": _edits(pool, device_id, found)})
    if not devices:
        return {}
    document = {"cdiVersion": _VERSION, "kind": pool.resource.name, "devices": devices}
    return {file_name(pool.resource.name): json.dumps(document).encode()}


def clean(directory: str, pools: Collection[Pool]) -> None:
    """Remove what earlier runs left of resources that have no devices by now, or are no more.

    A file is ours if its name is the one that we would give to what it describes. Raises OSError as
    the system calls do.
    """
    wanted = {pool.resource.name for pool in pools if pool.offers}
    with suppress(FileNotFoundError):
        for name in os.listdir(directory):
            kind = _kind(f"{directory}/{name}") if name.startswith("sriov-") else ""
            if kind and name == file_name(kind) and kind not in wanted:
                os.unlink(f"{directory}/{name}")


def _kind(path: str) -> str:
    """Return what kind of devices a file describes, empty if it does not tell."""
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read(_MOST))
    except (OSError, ValueError, RecursionError):
        return ""
    kind = document.get("kind") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) else ""


def _edits(pool: Pool, device_id: str, found: tuple[Node, ...]) -> dict[str, object]:
    if not found:  # edits that change nothing are invalid: say once more what the container has
        suffix = re.sub(r"[^A-Za-z0-9]", "_", device_id).upper()
        return {"env": [f"{variable(pool.resource)}_{suffix}={device_id}"]}
    return {
        "deviceNodes": [
            {"path": node.path, "hostPath": node.host_path, "permissions": "rw"} for node in found
        ]
    }

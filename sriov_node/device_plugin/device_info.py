# SPDX-License-Identifier: Apache-2.0
"""Files that tell Multus and network services what a device is (NPWG Device Information 1.1.0).

The directory is shared by all device plugins of the node. A file's name begins with its resource's,
which only one plugin of a node can have: whatever is named after a resource of ours is ours. Which
resources earlier runs had is noted beside the files; note and files end with the boot.
"""

import json
import os
import re
from collections.abc import Collection
from contextlib import suppress

from sriov_node.device_plugin.pool import Offer, Pool
from sriov_node.device_plugin.publication import publish

DIRECTORY = "/var/run/k8s.cni.cncf.io/devinfo/dp"
_NOTE = ".sriov-agent"
_SUFFIX = "-device.json"
# PCI addresses and auxiliary names: with another resource's rest before them they do not fit
_ID = r"(?:[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|[A-Za-z0-9_]+\.[A-Za-z0-9_]+\.[0-9]+)"
_MOST = 1 << 20  # bytes of a note that is read


def contents(pool: Pool) -> dict[str, bytes]:
    """Return the files that a resource should have, by their names."""
    return {
        name(pool.resource.name, device_id): content(offer)
        for device_id, offer in pool.offers.items()
    }


def name(resource: str, device_id: str) -> str:
    """Return the name of a device's file, as Multus builds it."""
    return f"{resource}-{device_id}{_SUFFIX}".replace("/", "-")


def content(offer: Offer) -> bytes:
    """Return what a device's file says."""
    device = offer.device
    pci = {"pci-address": device.address}
    if device.rdma:
        pci["rdma-device"] = device.rdma[0]
    if device.pf is not None:
        pci["pf-pci-address"] = device.pf
    if offer.selector.need_vhost_net:
        pci["vhost-net"] = "/dev/vhost-net"
    return json.dumps({"type": "pci", "version": "1.1.0", "pci": pci}).encode()


def clean(directory: str, pools: Collection[Pool]) -> None:
    """Remove what earlier runs left of devices that are in none of these pools.

    Notes the pools' resources for later runs. Raises OSError as the system calls do.
    """
    resources = {pool.resource.name for pool in pools}
    wanted = {file for pool in pools for file in contents(pool)}
    noted = _noted(directory)
    ours = _named_after(noted | resources)
    with suppress(FileNotFoundError):
        for file in os.listdir(directory):
            if file not in wanted and ours.fullmatch(file.removeprefix(".new-")):
                os.unlink(f"{directory}/{file}")
    if noted != resources:
        publish(directory, _NOTE, json.dumps(sorted(resources)).encode())


def _named_after(resources: Collection[str]) -> re.Pattern[str]:
    prefixes = "|".join(re.escape(resource.replace("/", "-")) for resource in resources)
    return re.compile(f"(?:{prefixes})-{_ID}{re.escape(_SUFFIX)}" if prefixes else "(?!)")


def _noted(directory: str) -> set[str]:
    """Return the resources of earlier runs, none if there is no note or it is not one."""
    try:
        with open(f"{directory}/{_NOTE}", "rb") as file:
            noted = json.loads(file.read(_MOST))
    except (OSError, ValueError, RecursionError):
        return set()
    entries = noted if isinstance(noted, list) else []
    return {entry for entry in entries if isinstance(entry, str) and "/" in entry}

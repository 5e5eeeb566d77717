# SPDX-License-Identifier: Apache-2.0
"""The devices that kubelet is told of for one resource, and whether they are healthy."""

from collections.abc import Mapping
from typing import NamedTuple

from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.inventory.device import Device


class Offer(NamedTuple):
    """A device as a resource announces it.

    `selector` is the one that took it. `reason` says why it is unhealthy, empty if it is healthy.
    `gone` is the time (time.monotonic()) since which the machine does not have it any more.
    """

    device: Device
    selector: Selector
    reason: str = ""
    gone: float | None = None

    @property
    def healthy(self) -> bool:
        """Whether kubelet may give it to a pod."""
        return not self.reason


class Pool(NamedTuple):
    """A resource and its offers by device ID, in the order they are announced in."""

    resource: Resource
    offers: Mapping[str, Offer] = {}

# SPDX-License-Identifier: Apache-2.0
"""The devices that kubelet is told of for one resource, and whether they are healthy."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.inventory.device import Device, State

# Seconds for which a device that went, or lost its driver, is still announced, as unhealthy. For
# as long kubelet keeps the devices of a plugin that went (endpointStopGracePeriod in its
# cm/devicemanager/types.go): pods that have the device show why in their status.
GRACE = 300.0


class Offer(NamedTuple):
    """A device as a resource announces it.

    `selector` is the one that took it. `reason` says why it is unhealthy, empty if it is healthy.
    `missing` is the time (time.monotonic()) since which no pod could use it, because it is gone or
    has no driver.
    """

    device: Device
    selector: Selector
    reason: str = ""
    missing: float | None = None

    @property
    def healthy(self) -> bool:
        """Whether kubelet may give it to a pod."""
        return not self.reason


class Pool(NamedTuple):
    """A resource and its offers by device ID, in the order they are announced in."""

    resource: Resource
    offers: Mapping[str, Offer] = {}


def filled(
    resource: Resource,
    taken: Mapping[str, Selector],
    devices: Mapping[str, Device],
    held: Mapping[str, str],
    before: Pool | None,
    now: float,
    preparing: frozenset[str] = frozenset(),
) -> Pool:
    """Return a resource's pool.

    `taken` are the IDs of its `devices`, with the selectors that took them, in the order to
    announce them in. `held` are the resources of the devices that pods have, by device ID, as
    kubelet knows them. `before` is the resource's pool so far, `now` is time.monotonic().

    A device in a pod is healthy whatever its state: kubelet refuses a pod's container that already
    has an unhealthy device.
    """
    offers = {
        device_id: Offer(
            devices[device_id],
            selector,
            "" if device_id in held else _why_unhealthy(resource, devices[device_id], preparing),
        )
        for device_id, selector in taken.items()
    }
    for device_id, offer in before.offers.items() if before is not None else ():
        if device_id not in offers and (reason := _why_missing(devices.get(device_id))):
            since = now if offer.missing is None else offer.missing
            if now - since < GRACE:
                offers[device_id] = offer._replace(reason=reason, missing=since)
    return Pool(resource, offers)


def next_expiry(pools: Iterable[Pool]) -> float | None:
    """Return when (time.monotonic()) the next missing device is to be forgotten, None if none."""
    missing = [o.missing for pool in pools for o in pool.offers.values() if o.missing is not None]
    return min(missing) + GRACE if missing else None


def _why_unhealthy(resource: Resource, device: Device, preparing: frozenset[str]) -> str:
    if device.use.state is State.FREE and device.pf in preparing:
        return "its PF is being prepared"
    if device.use.state is State.RETURNING:
        return f"is on its way from or to a pod: {device.use.reason}"
    if device.use.state is State.FREE and resource.watch_carrier and device.carrier is False:
        return "its PF has no carrier"
    return ""


def _why_missing(device: Device | None) -> str:
    """Say why nobody could use a device that no selector takes now; empty if one day they may."""
    if device is None:
        return "it is gone"
    if device.driver is None and device.use.state is State.FREE:
        return "is bound to no driver"
    return ""

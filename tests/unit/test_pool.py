# SPDX-License-Identifier: Apache-2.0
"""What kubelet is told of a resource's devices."""

import pytest

from sriov_node.device_plugin.pool import GRACE, Pool, filled, next_expiry
from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.inventory.device import Device, State, Use

SELECTOR = Selector(drivers=("igbvf",))
RESOURCE = Resource("example.com/net", (SELECTOR,))
DEVICE = Device("0000:01:10.0", "0000:01:10.0", "8086", "10ca", 0x020000, "igbvf", number=0)
OTHER = DEVICE._replace(id="0000:01:10.2", address="0000:01:10.2", number=1)


def pool_of(
    *devices: Device,
    resource: Resource = RESOURCE,
    held: tuple[str, ...] = (),
    before: Pool | None = None,
    now: float = 0.0,
) -> Pool:
    """Return the pool of devices that are all taken if they have the driver."""
    taken = {device.id: SELECTOR for device in devices if device.driver}
    names = dict.fromkeys(held, resource.name)
    return filled(resource, taken, {d.id: d for d in devices}, names, before, now)


def reasons(pool: Pool) -> dict[str, str]:
    return {device_id: offer.reason for device_id, offer in pool.offers.items()}


@pytest.mark.parametrize("state", [State.FREE, State.ATTACHED, State.LOST, State.ELSEWHERE])
def test_a_device_that_is_free_or_a_pods_is_healthy(state: State) -> None:
    assert reasons(pool_of(DEVICE._replace(use=Use(state)), OTHER)) == {DEVICE.id: "", OTHER.id: ""}


def test_a_device_that_a_pod_returns_is_unhealthy() -> None:
    returning = DEVICE._replace(use=Use(State.RETURNING, "net1 of container c"))
    reason = "is on its way from or to a pod: net1 of container c"
    assert reasons(pool_of(returning)) == {DEVICE.id: reason}


def test_a_device_that_kubelet_has_given_to_a_pod_is_healthy_meanwhile() -> None:
    returning = DEVICE._replace(use=Use(State.RETURNING))
    assert reasons(pool_of(returning, held=(DEVICE.id,))) == {DEVICE.id: ""}


@pytest.mark.parametrize(("carrier", "healthy"), [(True, True), (False, False), (None, True)])
def test_carrier_counts_where_it_is_asked_for(carrier: bool | None, healthy: bool) -> None:
    watching = RESOURCE._replace(watch_carrier=True)
    device = DEVICE._replace(carrier=carrier)
    assert pool_of(device).offers[DEVICE.id].healthy
    assert pool_of(device, resource=watching).offers[DEVICE.id].healthy == healthy
    attached = device._replace(use=Use(State.ATTACHED))
    assert pool_of(attached, resource=watching).offers[DEVICE.id].healthy


def test_a_device_that_goes_is_unhealthy_for_a_while_and_then_forgotten() -> None:
    first = pool_of(DEVICE, OTHER)
    gone = pool_of(OTHER, before=first, now=10)
    assert reasons(gone) == {OTHER.id: "", DEVICE.id: "it is gone"}
    assert next_expiry([first, gone]) == 10 + GRACE
    later = pool_of(OTHER, before=gone, now=9 + GRACE)
    assert later == gone
    assert reasons(pool_of(OTHER, before=later, now=10 + GRACE)) == {OTHER.id: ""}


def test_a_device_that_comes_back_is_healthy_again() -> None:
    gone = pool_of(before=pool_of(DEVICE), now=10)
    assert pool_of(DEVICE, before=gone, now=20) == pool_of(DEVICE)


def test_a_device_without_driver_is_expected_back() -> None:
    bare = DEVICE._replace(driver=None)
    unbound = pool_of(bare, before=pool_of(DEVICE), now=10)
    assert reasons(unbound) == {DEVICE.id: "is bound to no driver"}
    assert pool_of(bare, before=unbound, now=10 + GRACE).offers == {}
    assert pool_of(bare, now=10).offers == {}


def test_a_device_that_selectors_refuse_now_is_no_longer_announced() -> None:
    other_driver = DEVICE._replace(driver="vfio-pci")
    assert filled(RESOURCE, {}, {DEVICE.id: other_driver}, {}, pool_of(DEVICE), 10).offers == {}


def test_nothing_expires_where_nothing_is_missing() -> None:
    assert next_expiry([pool_of(DEVICE)]) is None

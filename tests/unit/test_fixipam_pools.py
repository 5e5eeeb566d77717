# SPDX-License-Identifier: Apache-2.0
"""fixipam's pools: who asks for no address gets the lowest free one."""

import pytest

from sriov_cni.cni import errors
from tests.unit.executable import error, result
from tests.unit.network import Network, addresses


def granted(network: Network, *pods: str, ask: str = "") -> list[str]:
    """Return the first address each pod gets."""
    return [addresses(result(network.add(pod, ask)))[0] for pod in pods]


def test_attachments_get_the_pools_addresses_from_the_lowest_up(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    assert granted(network, "pod-a", "pod-b") == ["10.55.206.10/26", "10.55.206.11/26"]


def test_a_released_address_is_the_lowest_free_one_again(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    granted(network, "pod-a", "pod-b")
    network.delete("pod-a")
    assert granted(network, "pod-c") == ["10.55.206.10/26"]


def test_an_address_asked_for_is_granted_in_and_outside_the_pool(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    assert granted(network, "pod-a", ask="10.55.206.46") == ["10.55.206.46/26"]
    assert granted(network, "pod-b", ask="10.55.206.10") == ["10.55.206.10/26"]
    assert granted(network, "pod-c") == ["10.55.206.11/26"]


def test_the_gateways_address_is_left_out(network: Network) -> None:
    network.pool("10.55.206.1", "10.55.206.2")
    assert granted(network, "pod-a") == ["10.55.206.2/26"]


def test_one_end_opens_a_pool_up_to_the_subnets_own(network: Network) -> None:
    network.ranges({"subnet": "10.0.0.0/30", "rangeEnd": "10.0.0.2"})
    assert granted(network, "pod-a", "pod-b") == ["10.0.0.1/30", "10.0.0.2/30"]


def test_a_pool_that_is_all_leased_refuses_until_an_address_is_released(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.10")
    granted(network, "pod-a")
    code, said = error(network.add("pod-b"))
    assert code == errors.TRY_AGAIN_LATER
    assert "10.55.206.10 to 10.55.206.10" in said


def test_an_ipv6_pool_may_be_a_whole_subnet(network: Network) -> None:
    network.ranges({"subnet": "fd00:55::/64", "gateway": "fd00:55::1", "rangeStart": "fd00:55::1"})
    assert granted(network, "pod-a", "pod-b") == ["fd00:55::2/64", "fd00:55::3/64"]


def test_an_attachment_gets_an_address_of_every_pool(network: Network) -> None:
    network.ranges(
        {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10"},
        {"subnet": "fd00::/64", "rangeStart": "fd00::10"},
    )
    assert addresses(result(network.add("pod-a"))) == ["10.0.0.10/24", "fd00::10/64"]


def test_a_family_asked_for_leaves_the_other_to_its_pool(network: Network) -> None:
    network.ranges(
        {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10"},
        {"subnet": "fd00::/64", "rangeStart": "fd00::10"},
    )
    granted_both = addresses(result(network.add("pod-a", ask="10.0.0.5")))
    assert sorted(granted_both) == ["10.0.0.5/24", "fd00::10/64"]


def test_a_set_of_pools_is_used_in_its_order(network: Network) -> None:
    first = {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.10"}
    second = {"subnet": "10.0.1.0/24", "rangeStart": "10.0.1.10"}
    network.ranges([first, second])
    assert granted(network, "pod-a", "pod-b") == ["10.0.0.10/24", "10.0.1.10/24"]


def test_an_exhausted_pool_leaves_no_lease_in_the_other(network: Network) -> None:
    network.ranges(
        {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10"},
        {"subnet": "fd00::/64", "rangeStart": "fd00::10", "rangeEnd": "fd00::10"},
    )
    granted(network, "pod-a")
    assert error(network.add("pod-b"))[0] == errors.TRY_AGAIN_LATER
    assert network.leases() == 2


def test_an_attachment_added_again_keeps_its_address(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    granted(network, "pod-a", "pod-b")
    network.delete("pod-a")
    assert granted(network, "pod-b") == ["10.55.206.11/26"]
    assert network.leases() == 1


@pytest.mark.parametrize("ask", ["", "10.0.0.10"], ids=["nothing asked", "one asked"])
def test_two_pools_of_one_subnet_do_not_grant_the_same_address(network: Network, ask: str) -> None:
    pool = {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10"}
    network.ranges(pool, {**pool, "rangeEnd": "10.0.0.20"})
    assert len(set(addresses(result(network.add("pod-a", ask))))) == 2

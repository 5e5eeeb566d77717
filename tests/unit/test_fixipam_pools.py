# SPDX-License-Identifier: Apache-2.0
"""fixipam's pools: who asks for no address gets one nobody had, or one released long ago."""

import pytest

from sriov_cni.cni import errors
from tests.unit.executable import SILENCE, error, result
from tests.unit.network import Network, addresses


def granted(network: Network, *pods: str, ask: str = "") -> list[str]:
    """Return the first address each pod gets."""
    return [addresses(result(network.add(pod, ask)))[0] for pod in pods]


def test_attachments_get_the_pools_addresses_from_the_lowest_up(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    assert granted(network, "pod-a", "pod-b") == ["10.55.206.10/26", "10.55.206.11/26"]


def test_a_released_address_is_granted_again_when_all_others_were(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    granted(network, "pod-a", "pod-b")
    network.delete("pod-a")
    assert granted(network, "pod-c", "pod-d") == ["10.55.206.12/26", "10.55.206.10/26"]


def test_of_released_addresses_the_one_released_longest_ago_is_granted(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    granted(network, "pod-a", "pod-b", "pod-c")
    for pod in ("pod-b", "pod-c", "pod-a"):
        network.delete(pod)
    assert granted(network, "pod-d") == ["10.55.206.11/26"]
    network.delete("pod-d")  # now it is the last of the three
    assert granted(network, "pod-e", "pod-f", "pod-g") == [
        "10.55.206.12/26",
        "10.55.206.10/26",
        "10.55.206.11/26",
    ]


def test_what_gc_releases_is_released_like_any_other(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    granted(network, "pod-a", "pod-b")
    assert network.collect("pod-b") == SILENCE
    assert granted(network, "pod-c", "pod-d") == ["10.55.206.12/26", "10.55.206.10/26"]


def test_an_address_that_was_asked_for_is_released_like_any_other(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    granted(network, "pod-a")
    assert granted(network, "pod-b", ask="10.55.206.11") == ["10.55.206.11/26"]
    network.delete("pod-b")
    assert granted(network, "pod-c") == ["10.55.206.12/26"]


def test_a_network_without_pool_remembers_nothing(network: Network) -> None:
    granted(network, "pod-a", ask="10.55.206.46")
    network.delete("pod-a")
    assert not network.released.exists()


def addresses_released(network: Network) -> list[str]:
    return network.released.read_text().split("\n")[:-1]


def test_of_a_pool_without_end_the_latest_releases_are_remembered(network: Network) -> None:
    network.ranges({"subnet": "fd00:55::/64", "rangeStart": "fd00:55::1"})
    granted(network, "pod-a")  # fd00:55::1
    many = [f"fd00:55::{number:x}" for number in range(2, 1502)]
    network.released.write_text("".join(f"{address}\n" for address in many))
    network.delete("pod-a")
    assert addresses_released(network) == [*many, "fd00:55::1"]
    # those released before the latest 512 count as never used
    assert granted(network, "pod-b") == ["fd00:55::2/64"]
    assert addresses_released(network) == [*many[-511:], "fd00:55::1"]


def test_a_list_that_nobody_reads_any_more_does_not_grow_without_end(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    granted(network, "pod-a")
    network.released.write_text("10.55.206.9\n" * 11000)
    size = network.released.stat().st_size
    network.delete("pod-a")
    assert network.released.stat().st_size == size


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 5000,
        b"\xff\xfe\n10.55.206.1\n\n",  # the gateway's address
        b"10.55.206.010\n10.55.206.10/26\n 10.55.206.10\n0xa.55.206.10\n::ffff:10.55.206.10",
        b"10.55.206.63\n10.55.206.0\n192.0.2.1\nfd00::1\n../10.55.206.10\n",
        b"x" * 200_000,
        b"10.55.206.10\n" * 20_000,
    ],
    ids=["zeros", "no text", "other spellings", "other addresses", "one line", "one address"],
)
def test_whatever_is_on_the_list_a_free_address_of_the_pool_is_granted(
    network: Network, content: bytes
) -> None:
    network.pool("10.55.206.1", "10.55.206.11")
    granted(network, "pod-a", ask="10.55.206.10")  # taken, however it is spelt
    network.released.write_bytes(content)
    found = granted(network, *(f"pod-{number}" for number in range(9)))
    assert sorted(found) == sorted(f"10.55.206.{last}/26" for last in (*range(2, 10), 11))
    assert error(network.add("pod-x"))[0] == errors.TRY_AGAIN_LATER


def test_a_lost_list_loses_no_more_than_the_order(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.12")
    granted(network, "pod-a", "pod-b")
    network.delete("pod-a")
    network.released.unlink()
    assert granted(network, "pod-c", "pod-d") == ["10.55.206.10/26", "10.55.206.12/26"]


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

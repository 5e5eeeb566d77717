# SPDX-License-Identifier: Apache-2.0
"""fixipam refuses what it cannot grant, says why, and leases nothing."""

import pytest

from sriov_cni.cni import errors
from tests.unit.executable import error, result
from tests.unit.network import Network

UNGRANTABLE = {
    "10.55.206.64": "it is not in 10.55.206.0/26",
    "fd00:55::2e": "it is not in 10.55.206.0/26",
    "10.55.206.1": "it is the gateway's",
    "10.55.206.0": "it is the network address of 10.55.206.0/26",
    "10.55.206.63": "it is the broadcast address of 10.55.206.0/26",
    "10.55.206.46/24": "its subnet is 10.55.206.0/26",
    "10.55.206": "is not an IP address",
    "10.55.206.46/33": "is not an IP address",
    "10.55.206.46,10.55.206.1": "it is the gateway's",
}


@pytest.mark.parametrize(("ask", "reason"), UNGRANTABLE.items())
def test_an_address_no_range_can_grant_is_refused_with_the_reason(
    network: Network, ask: str, reason: str
) -> None:
    code, said = error(network.add("pod-a", ask=ask))
    assert (code, network.leases()) == (errors.ADDRESS_REFUSED, 0)
    assert reason in said
    assert repr(ask.split(",")[-1]) in said


def test_the_routers_address_of_an_ipv6_subnet_is_refused(network: Network) -> None:
    network.ranges({"subnet": "fd00:55::/64"})
    code, said = error(network.add("pod-a", ask="fd00:55::"))
    assert code == errors.ADDRESS_REFUSED
    assert "it is the network address of fd00:55::/64" in said


def test_without_a_pool_an_address_must_be_asked_for(network: Network) -> None:
    code, said = error(network.add("pod-a"))
    assert (code, network.leases()) == (errors.ADDRESS_REFUSED, 0)
    assert "no address asked for" in said
    assert "rangeStart" in said


def test_a_taken_address_is_refused_with_its_holder(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    code, said = error(network.add("pod-b", ask="10.55.206.46"))
    assert (code, network.leases()) == (errors.TRY_AGAIN_LATER, 1)
    assert "10.55.206.46 is taken" in said
    assert "net1 of container pod-a" in said


def test_another_interface_of_the_same_container_is_another_attachment(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    assert error(network.add("pod-a", "10.55.206.46", "net2"))[0] == errors.TRY_AGAIN_LATER


def test_another_network_has_addresses_of_its_own(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    result(network.add("pod-b", ask="10.55.206.46", name="othernet"))


def test_of_several_addresses_all_are_granted_or_none(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    code, _ = error(network.add("pod-b", ask="10.55.206.47,10.55.206.46"))
    assert (code, network.leases()) == (errors.TRY_AGAIN_LATER, 1)


def test_an_unusable_data_directory_is_named(network: Network) -> None:
    network.data_directory.write_text("a file in the way")
    code, said = error(network.add("pod-a", ask="10.55.206.46"))
    assert code == errors.STATE_UNUSABLE
    assert str(network.data_directory) in said


def test_an_invalid_configuration_is_refused_by_its_key(network: Network) -> None:
    network.ipam["gateway"] = "10.55.206"
    code, said = error(network.add("pod-a", ask="10.55.206.46"))
    assert (code, network.leases()) == (errors.INVALID_CONFIGURATION, 0)
    assert "invalid ipam.gateway: " in said

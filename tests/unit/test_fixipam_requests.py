# SPDX-License-Identifier: Apache-2.0
"""fixipam grants the addresses it is asked for, with the subnet's prefix, gateway and routes."""

import pytest

from tests.plugin import Document
from tests.unit.executable import result
from tests.unit.network import Network, addresses

DUAL_STACK = (
    {"subnet": "10.55.206.0/26", "gateway": "10.55.206.1"},
    {"subnet": "fd00:55::/64", "gateway": "fd00:55::1"},
)


def test_an_address_is_granted_with_prefix_gateway_and_routes(network: Network) -> None:
    network.ipam["routes"] = [{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "10.55.206.2"}]
    network.ipam["dns"] = {"nameservers": ["10.55.0.53"]}
    assert result(network.add("pod-a", ask="10.55.206.46")) == {
        "cniVersion": "1.1.0",
        "ips": [{"address": "10.55.206.46/26", "gateway": "10.55.206.1"}],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "10.55.206.2"}],
        "dns": {"nameservers": ["10.55.0.53"]},
    }


def test_a_subnet_needs_no_gateway(network: Network) -> None:
    del network.ipam["gateway"]
    assert result(network.add("pod-a", ask="10.55.206.1"))["ips"] == [{"address": "10.55.206.1/26"}]


@pytest.mark.parametrize("ask", ["10.55.206.46/26", " 10.55.206.46", "10.55.206.46,"])
def test_an_address_may_be_asked_for_with_its_prefix_and_spaces(network: Network, ask: str) -> None:
    assert addresses(result(network.add("pod-a", ask=ask))) == ["10.55.206.46/26"]


RUNTIME: Document = {"runtimeConfig": {"ips": ["10.55.206.11"]}}
ARGS: Document = {"args": {"cni": {"ips": ["10.55.206.12"]}}}
EMPTY: Document = {"runtimeConfig": {"ips": []}, "args": {"cni": {"ips": []}}}


@pytest.mark.parametrize(
    ("keys", "granted"),
    [(RUNTIME | ARGS, "10.55.206.11/26"), (ARGS, "10.55.206.12/26"), ({}, "10.55.206.13/26")],
    ids=["runtimeConfig", "args.cni", "CNI_ARGS"],
)
def test_the_strongest_request_wins(network: Network, keys: Document, granted: str) -> None:
    assert addresses(result(network.add("pod-a", "10.55.206.13", **keys))) == [granted]


def test_an_empty_list_asks_for_nothing(network: Network) -> None:
    assert addresses(result(network.add("pod-a", "10.55.206.13", **EMPTY))) == ["10.55.206.13/26"]


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
def test_dual_stack_is_one_address_of_each_range(network: Network, nested: bool) -> None:
    network.ranges(*([range_] if nested else range_ for range_ in DUAL_STACK))
    assert result(network.add("pod-a", ask="10.55.206.46,FD00:55::2E"))["ips"] == [
        {"address": "10.55.206.46/26", "gateway": "10.55.206.1"},
        {"address": "fd00:55::2e/64", "gateway": "fd00:55::1"},
    ]


def test_of_two_stacks_one_may_be_asked_for(network: Network) -> None:
    network.ranges(*DUAL_STACK)
    assert addresses(result(network.add("pod-a", ask="fd00:55::2e"))) == ["fd00:55::2e/64"]


def test_one_range_may_grant_several_addresses(network: Network) -> None:
    granted = result(network.add("pod-a", ask="10.55.206.46,10.55.206.47"))
    assert addresses(granted) == ["10.55.206.46/26", "10.55.206.47/26"]


def test_an_address_asked_for_twice_is_granted_once(network: Network) -> None:
    granted = result(network.add("pod-a", ask="10.55.206.46,10.55.206.46/26"))
    assert addresses(granted) == ["10.55.206.46/26"]


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_before_0_3_0_the_result_has_one_address_per_family(network: Network, version: str) -> None:
    network.ranges(*DUAL_STACK)
    network.ipam["routes"] = [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    outcome = network.add("pod-a", "10.55.206.46,fd00:55::2e", cniVersion=version)
    assert result(outcome) == {
        "cniVersion": version,
        "ip4": {
            "ip": "10.55.206.46/26",
            "gateway": "10.55.206.1",
            "routes": [{"dst": "0.0.0.0/0"}],
        },
        "ip6": {"ip": "fd00:55::2e/64", "gateway": "fd00:55::1", "routes": [{"dst": "::/0"}]},
    }


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.4.0"])
def test_up_to_0_4_0_an_address_says_its_ip_version(network: Network, version: str) -> None:
    network.ranges(*DUAL_STACK)
    outcome = network.add("pod-a", "10.55.206.46,fd00:55::2e", cniVersion=version)
    assert result(outcome) == {
        "cniVersion": version,
        "ips": [
            {"version": "4", "address": "10.55.206.46/26", "gateway": "10.55.206.1"},
            {"version": "6", "address": "fd00:55::2e/64", "gateway": "fd00:55::1"},
        ],
    }


@pytest.mark.parametrize(
    ("version", "attributes"), [("1.0.0", {}), ("1.1.0", {"mtu": 1400, "priority": 10})]
)
def test_route_attributes_came_with_1_1_0(
    network: Network, version: str, attributes: Document
) -> None:
    network.ipam["routes"] = [{"dst": "0.0.0.0/0", "mtu": 1400, "priority": 10}]
    assert result(network.add("pod-a", "10.55.206.46", cniVersion=version)) == {
        "cniVersion": version,
        "ips": [{"address": "10.55.206.46/26", "gateway": "10.55.206.1"}],
        "routes": [{"dst": "0.0.0.0/0", **attributes}],
    }

# SPDX-License-Identifier: Apache-2.0
"""ADD: what the pod gets, and what the runtime is told."""

import pytest

from tests.networks import DUAL_STACK, L2, MYNET
from tests.node import Node


def test_the_first_free_vf_becomes_the_pods_interface(node: Node, pod: str) -> None:
    mac = node.ip("link", "show", "eth1v0")[0]["address"]
    outcome = node.sriov("ADD", L2, netns=pod)
    assert outcome.document == {
        "cniVersion": "1.1.0",
        "interfaces": [
            {"name": "net1", "mac": mac, "sandbox": pod, "mtu": 1500, "pciID": "0000:01:10.0"}
        ],
    }
    assert outcome.stderr == ""
    assert "UP" in node.net1()["flags"]
    assert "eth1v0" not in node.state()["links"]  # type: ignore[operator]


def test_a_pods_own_wish_is_heard_where_the_network_lists_it(node: Node, pod: str) -> None:
    wish = L2 | {"args": {"cni": {"vf": 2}}}
    unheard = node.sriov("ADD", wish, netns=pod)
    assert unheard.document["interfaces"][0]["pciID"] == "0000:01:10.0"
    assert "args.cni.vf 2 is not heard" in unheard.stderr
    heard = node.sriov("ADD", wish | {"requests": ["vf"]}, netns=pod, ifname="net2")
    assert heard.document["interfaces"][0]["pciID"] == "0000:01:10.2"
    assert heard.stderr == ""


def test_the_contracts_network_gives_address_route_and_mac(node: Node, pod: str) -> None:
    args = "IgnoreUnknown=1;IP=10.55.206.46;VF=1;MAC=66:d8:02:77:aa:aa"
    outcome = node.sriov("ADD", MYNET, netns=pod, args=args)
    assert outcome.document == {
        "cniVersion": "0.1.0",
        "ip4": {
            "ip": "10.55.206.46/26",
            "gateway": "10.55.206.1",
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    interface = node.net1()
    assert interface["address"] == "66:d8:02:77:aa:aa"
    assert [(a["local"], a["prefixlen"]) for a in interface["addr_info"]] == [("10.55.206.46", 26)]
    assert node.routes() == {("default", "10.55.206.1")}


@pytest.mark.parametrize("vf", [0, 2])
def test_a_requested_vf_is_the_one_that_is_given(node: Node, pod: str, vf: int) -> None:
    outcome = node.sriov("ADD", L2, netns=pod, args=f"VF={vf}")
    assert outcome.document["interfaces"][0]["pciID"] == f"0000:01:10.{vf}"


def test_the_configuration_can_name_the_vf_too(node: Node, pod: str) -> None:
    outcome = node.sriov("ADD", L2 | {"vf": 2}, netns=pod)
    assert outcome.document["interfaces"][0]["pciID"] == "0000:01:10.2"


def test_dual_stack_addresses_are_usable_at_once(node: Node, pod: str) -> None:
    outcome = node.sriov("ADD", DUAL_STACK, netns=pod)
    assert [ip["address"] for ip in outcome.document["ips"]] == ["10.1.0.5/24", "fd00:1::5/64"]
    assert {ip["interface"] for ip in outcome.document["ips"]} == {0}
    assert node.routes() == {("default", "10.1.0.1"), ("10.9.0.0/16", "10.1.0.9")}
    assert node.routes("-6") == {("default", "fd00:1::1")}
    listed = {a["local"]: a for a in node.net1()["addr_info"]}
    assert listed["fd00:1::5"].get("optimistic") is True


@pytest.mark.parametrize("scope", ["all", "default"])
def test_ipv6_comes_up_where_the_runtime_had_disabled_it(node: Node, pod: str, scope: str) -> None:
    disable = f"echo 1 > /proc/sys/net/ipv6/conf/{scope}/disable_ipv6"
    node.run("ip", "netns", "exec", "pod", "sh", "-c", disable)
    assert node.sriov("ADD", DUAL_STACK, netns=pod).status == 0
    assert "fd00:1::5" in {address["local"] for address in node.net1()["addr_info"]}


def test_a_gateway_outside_the_subnet_is_reached_on_link(node: Node, pod: str) -> None:
    ipam = {"type": "fixipam", "subnet": "10.1.0.5/32", "routes": [{"dst": "0.0.0.0/0"}]}
    config = L2 | {"ipam": ipam | {"gateway": "169.254.1.1"}}
    assert node.sriov("ADD", config, netns=pod, args="IP=10.1.0.5").status == 0
    assert node.routes() == {("default", "169.254.1.1")}


def test_route_attributes_of_the_1_1_0_result_reach_the_kernel(node: Node, pod: str) -> None:
    route = {"dst": "10.2.0.0/16", "table": 100, "priority": 7, "mtu": 1400, "advmss": 1360}
    ipam = {"type": "fixipam", "subnet": "10.1.0.0/24", "gateway": "10.1.0.1", "routes": [route]}
    outcome = node.sriov("ADD", L2 | {"ipam": ipam}, netns=pod, args="IP=10.1.0.5")
    assert outcome.document["routes"] == [route]
    (listed,) = node.ip("-n", "pod", "route", "show", "table", "100")
    assert (listed["dst"], listed["gateway"], listed["metric"]) == ("10.2.0.0/16", "10.1.0.1", 7)
    assert listed["metrics"] == [{"mtu": 1400, "advmss": 1360}]


def test_the_mtu_is_the_configurations_and_is_reported(node: Node, pod: str) -> None:
    outcome = node.sriov("ADD", L2 | {"mtu": 1400}, netns=pod)
    assert outcome.document["interfaces"][0]["mtu"] == 1400
    assert node.net1()["mtu"] == 1400


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_the_result_has_the_shape_of_the_version_asked_for(
    node: Node, pod: str, version: str
) -> None:
    config = DUAL_STACK | {"cniVersion": version}
    document = node.sriov("ADD", config, netns=pod).document
    assert document["cniVersion"] == version
    assert ("mtu" in document["interfaces"][0]) == (version == "1.1.0")
    assert ("version" in document["ips"][0]) == (version < "1.0.0")


def test_a_vf_that_is_up_on_the_host_is_taken_and_given_back_up(node: Node, pod: str) -> None:
    node.run("ip", "link", "set", "eth1v0", "up")
    before = node.state()
    assert node.sriov("ADD", L2, netns=pod).status == 0
    assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.state() == before


def test_a_vf_that_only_a_router_gave_an_address_is_free(node: Node, pod: str) -> None:
    lifetime = ("valid_lft", "900", "preferred_lft", "900")
    node.run("ip", "addr", "add", "2001:db8::5/64", "dev", "eth1v0", *lifetime)
    outcome = node.sriov("ADD", L2, netns=pod)
    assert outcome.document["interfaces"][0]["pciID"] == "0000:01:10.0"


def test_vfs_that_the_host_uses_are_passed_over(node: Node, pod: str) -> None:
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.run("ip", "link", "set", "eth1v0", "master", "br0")
    node.run("ip", "addr", "add", "192.0.2.1/24", "dev", "eth1v1")
    outcome = node.sriov("ADD", L2, netns=pod)
    assert outcome.document["interfaces"][0]["pciID"] == "0000:01:10.2"

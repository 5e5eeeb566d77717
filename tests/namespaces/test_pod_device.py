# SPDX-License-Identifier: Apache-2.0
"""The pod's interface beyond its addresses: as other plugins leave it, on any kernel."""

import re

import pytest

from tests.networks import DUAL_STACK, L2
from tests.node import Node
from tests.plugin import Document, Outcome, Plugin, wait_for

SETTINGS = (
    "ipv4/conf/net1/arp_notify",
    "ipv6/conf/net1/ndisc_notify",
    "ipv6/conf/net1/optimistic_dad",
)
IPV4: Document = L2 | {"ipam": {"type": "fixipam", "subnet": "10.1.0.0/24"}}


def in_pod(node: Node, *command: str) -> str:
    """Run a command in the pod."""
    return node.run("ip", "netns", "exec", "pod", *command)


def setting(node: Node, name: str) -> str:
    """Return a setting of the pod's kernel."""
    return in_pod(node, "cat", f"/proc/sys/net/{name}").strip()


def carry(node: Node) -> None:
    """Give VF 0 carrier."""
    node.run("ip", "link", "set", "eth1v0p", "up")


def without(node: Node, *settings: str) -> Plugin:
    """Return the plugin on a kernel that lacks settings: strace(1) answers for it."""
    paths = [word for name in settings for word in ("-P", f"/proc/sys/net/{name}")]
    missing = ("-e", "trace=openat", "-e", "inject=openat:error=ENOENT")
    return node.sriov.within("strace", "-qq", "-o", "/dev/null", *paths, *missing)


@pytest.mark.parametrize("config", [L2, DUAL_STACK], ids=["layer 2", "dual stack"])
def test_the_kernel_tells_neighbours_of_a_new_mac_and_uses_ipv6_addresses_at_once(
    node: Node, pod: str, config: Document
) -> None:
    assert node.sriov("ADD", config, netns=pod).status == 0
    assert {setting(node, name) for name in SETTINGS} == {"1"}


@pytest.mark.parametrize("missing", SETTINGS)
def test_a_kernel_that_lacks_a_setting_gives_the_interface_all_the_same(
    node: Node, pod: str, missing: str
) -> None:
    assert without(node, missing)("ADD", DUAL_STACK, netns=pod).status == 0
    assert [setting(node, name) for name in SETTINGS] == [
        "0" if name == missing else "1" for name in SETTINGS
    ]


def test_what_was_set_ends_when_the_device_leaves_the_pod(node: Node, pod: str) -> None:
    assert node.sriov("ADD", DUAL_STACK, netns=pod).status == 0
    changed = "echo 1 >/proc/sys/net/ipv6/conf/net1/disable_ipv6"
    in_pod(node, "sh", "-c", f"{changed}; echo 2 >/proc/sys/net/ipv4/conf/net1/rp_filter")
    assert node.sriov("DEL", DUAL_STACK, netns=pod).status == 0
    for name in (
        "ipv4/conf/eth1v0/arp_notify",
        "ipv4/conf/eth1v0/rp_filter",
        "ipv6/conf/eth1v0/ndisc_notify",
        "ipv6/conf/eth1v0/disable_ipv6",
        "ipv6/conf/eth1v0/optimistic_dad",
    ):
        default = name.replace("eth1v0", "default")
        assert node.run("cat", f"/proc/sys/net/{name}") == node.run(
            "cat", f"/proc/sys/net/{default}"
        )


@pytest.mark.parametrize(
    ("subnet", "broadcast"),
    [
        ("10.1.0.0/24", "10.1.0.255"),
        ("10.0.0.0/8", "10.255.255.255"),
        ("10.1.0.4/30", "10.1.0.7"),
        ("10.1.0.4/31", None),
        ("10.1.0.5/32", None),
    ],
)
def test_an_ipv4_address_has_its_networks_broadcast_address(
    node: Node, pod: str, subnet: str, broadcast: str | None
) -> None:
    config = L2 | {"ipam": {"type": "fixipam", "subnet": subnet}}
    assert node.sriov("ADD", config, netns=pod, args="IP=10.1.0.5").status == 0
    (address,) = [a for a in node.net1()["addr_info"] if a["family"] == "inet"]
    assert address["local"] == "10.1.0.5"
    assert address.get("broadcast") == broadcast


def test_a_kernel_without_optimistic_addresses_gives_tentative_ones(node: Node, pod: str) -> None:
    """Ubuntu's have no CONFIG_IPV6_OPTIMISTIC_DAD, so no such setting: net/ipv6/addrconf.c."""
    outcome = without(node, "ipv6/conf/net1/optimistic_dad")("ADD", DUAL_STACK, netns=pod)
    assert (outcome.status, outcome.stderr) == (0, "")
    listed = {address["local"]: address for address in node.net1()["addr_info"]}
    assert listed["fd00:1::5"].get("tentative") is True
    assert "optimistic" not in listed["fd00:1::5"]
    checked = DUAL_STACK | {"prevResult": outcome.document}
    assert node.sriov("CHECK", checked, netns=pod).status == 0


# A kernel started with ipv6.disable=1 has none of these (inet6_init() in net/ipv6/af_inet6.c).
IPV6_SETTINGS = [f"ipv6/conf/net1/{n}" for n in ("disable_ipv6", "optimistic_dad", "ndisc_notify")]


def test_a_kernel_without_ipv6_refuses_an_ipv6_address_and_says_why(node: Node, pod: str) -> None:
    before = node.state()
    outcome = without(node, *IPV6_SETTINGS)("ADD", DUAL_STACK, netns=pod)
    assert (outcome.code, outcome.document["msg"]) == (103, "no IPv6")
    assert "net1 cannot have fd00:1::5/64" in outcome.said
    assert "ipv6.disable=1" in outcome.said
    assert "everything done was undone" in outcome.said
    assert node.state() == before


def test_a_kernel_without_ipv6_serves_ipv4(node: Node, pod: str) -> None:
    plugin = without(node, *IPV6_SETTINGS)
    outcome = plugin("ADD", IPV4, netns=pod, args="IP=10.1.0.5")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert setting(node, "ipv4/conf/net1/arp_notify") == "1"


def test_an_mtu_too_small_for_ipv6_is_named(node: Node, pod: str) -> None:
    before = node.state()
    outcome = node.sriov("ADD", DUAL_STACK | {"mtu": 1200}, netns=pod)
    assert outcome.code == 103
    assert "the interface's MTU is below 1280" in outcome.said
    assert node.state() == before


def test_a_neighbours_ipv6_address_is_refused_where_there_is_carrier(node: Node, pod: str) -> None:
    node.run("ip", "addr", "add", "fd00:1::5/64", "dev", "eth1v0p", "nodad")
    carry(node)
    before = node.state()

    def refused() -> Outcome | None:
        """A neighbour on a busy machine may answer too late: then the ADD succeeds."""
        outcome = node.sriov("ADD", DUAL_STACK, netns=pod)
        if outcome.status:
            return outcome
        assert node.sriov("DEL", DUAL_STACK, netns=pod).status == 0
        return None

    outcome = wait_for(refused)
    assert outcome is not None
    assert (outcome.code, outcome.document["msg"]) == (11, "address fd00:1::5/64 is taken")
    assert "another station in the network of net1 has it" in outcome.said
    assert "everything done was undone" in outcome.said
    assert node.state() == before
    assert net1_is_gone(node)


def net1_is_gone(node: Node) -> bool:
    """Tell whether the pod has its loopback device only."""
    return [link["ifname"] for link in node.ip("-n", "pod", "link")] == ["lo"]


def test_a_neighbours_ipv6_address_found_later_is_told_by_check(node: Node, pod: str) -> None:
    node.run("ip", "addr", "add", "fd00:1::5/64", "dev", "eth1v0p", "nodad")
    added = node.sriov("ADD", DUAL_STACK, netns=pod)
    carry(node)
    wait_for(node.dad_failed)
    outcome = node.sriov("CHECK", DUAL_STACK | {"prevResult": added.document}, netns=pod)
    assert outcome.code == 105
    assert "address fd00:1::5/64 is unusable, another station has it" in outcome.said
    assert "10.1.0.5" not in outcome.said


def test_a_neighbours_ipv6_address_found_later_is_told_by_the_log(node: Node, pod: str) -> None:
    node.run("ip", "addr", "add", "fd00:1::5/64", "dev", "eth1v0p", "nodad")
    log = "/var/lib/log"
    assert node.sriov("ADD", DUAL_STACK | {"logFile": log}, netns=pod).status == 0
    carry(node)
    line = wait_for(lambda: [text for text in node.read(log).splitlines() if " error " in text])[0]
    assert re.search(r" error .* net1 cannot use fd00:1::5: another station there has it$", line)


def test_an_ipv6_address_nobody_has_is_granted_with_carrier(node: Node, pod: str) -> None:
    carry(node)
    node.run("ip", "addr", "add", "fd00:1::6/64", "dev", "eth1v0p", "nodad")
    assert node.sriov("ADD", DUAL_STACK, netns=pod).status == 0
    assert "fd00:1::5" in {address["local"] for address in node.net1()["addr_info"]}

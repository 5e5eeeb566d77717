# SPDX-License-Identifier: Apache-2.0
"""Isolation: nothing that a pod did to its interface reaches the host or the next pod.

tests/lab has the same with tc's filters, which not every kernel has, and with a driver.

A pod that may administer its network (CAP_NET_ADMIN) sets all there is; some of it goes with the
device when that leaves the pod, and some the kernel leaves behind.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sriov_cni.kernel import links, netns
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netns import Pod
from tests.networks import L2, WRITTEN
from tests.node import Node
from tests.plugin import write_plugin
from tests.pod_changes import IN_POD, LASTING, XDP

# What stays in the namespace: neighbours, queueing disciplines and filters, sysctls, addresses.
LOCAL = """
    ip addr add 10.7.0.1/24 dev net1
    ip neigh add 10.7.0.9 lladdr 66:d8:02:77:00:09 nud permanent dev net1
    bridge fdb add 66:d8:02:77:00:08 dev net1 self
    ip maddress add 01:00:5e:00:00:77 dev net1
    tc qdisc add dev net1 root tbf rate 1kbit burst 10k latency 1s
    tc qdisc add dev net1 clsact
    echo 1 >/proc/sys/net/ipv4/conf/net1/proxy_arp
    echo 1 >/proc/sys/net/ipv6/conf/net1/forwarding
    echo 7 >/proc/sys/net/ipv4/neigh/net1/mcast_solicit
"""
# They go with the device; ip(8) of Debian 12 does not know them.
SIZES = ("gso_ipv4_max_size", "gro_ipv4_max_size")


def link_of(pod: Pod) -> Link:
    """Return the pod's interface."""
    link = links.find(pod.socket, "net1")
    assert link is not None
    return link


def test_sizes_that_only_new_tools_know_do_not_last_either(node: Node, pod: str) -> None:
    assert node.sriov("ADD", L2, netns=pod).status == 0
    with netns.pod_at(node.path(pod)) as entered:
        at_first = link_of(entered).settings
        for name in SIZES:
            links.set_setting(entered.socket, link_of(entered), name, 20001)
        assert link_of(entered).settings != at_first
    assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.sriov("ADD", L2, netns=pod).status == 0
    with netns.pod_at(node.path(pod)) as entered:
        assert link_of(entered).settings == at_first


def attach_xdp(node: Node, pod: str, mode: str) -> None:
    """Have a pod attach an XDP program that drops everything to its interface."""
    node.run(*IN_POD, pod, *XDP, "net1", mode)


def local_state(node: Node, *where: str) -> dict[str, Any]:
    """Return what is bound to a device's namespace; `where` ends with the device's name."""
    *enter, device = where
    sysctls = "ipv4/conf/{0}/proxy_arp ipv6/conf/{0}/forwarding ipv4/neigh/{0}/mcast_solicit"
    paths = [f"/proc/sys/net/{path}" for path in sysctls.format(device).split()]
    commands = {
        "neighbours": ("ip", "neigh", "show", "nud", "permanent", "dev", device),
        "multicast": ("ip", "maddress", "show", "dev", device),
        "disciplines": ("tc", "qdisc", "show", "dev", device),
        "sysctls": ("cat", *paths),
        "addresses": ("ip", "-4", "addr", "show", "dev", device),
        "forwarding": ("bridge", "fdb", "show", "dev", device),
    }
    said = {what: node.run(*enter, *command) for what, command in commands.items()}
    return {what: text for what, text in said.items() if what != "addresses" or "10.7." in text}


def given(node: Node, pod: str) -> Any:
    """Return what a pod gets when it gets VF 0: all that it can tell of the interface."""
    (link,) = node.ip("-n", pod, "link", "show", "net1")
    varying = ("ifindex", "link", "link_index", "link_netnsid", "stats64")
    link = {key: value for key, value in link.items() if key not in varying}
    return link | local_state(node, *IN_POD, pod, "net1")


@pytest.mark.parametrize("script", [LOCAL, LASTING], ids=["local", "lasting"])
def test_del_leaves_nothing_of_what_a_pod_set(node: Node, pod: str, script: str) -> None:
    before, local = node.state(), local_state(node, "eth1v0")
    assert node.sriov("ADD", L2, netns=pod).status == 0
    at_first = given(node, "pod")
    node.run_in_pod("pod", script)
    assert given(node, "pod") != at_first
    assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.state() == before
    assert local_state(node, "eth1v0") == local
    assert node.sriov("ADD", L2, container="next", netns=node.add_pod("next")).status == 0
    assert given(node, "next") == at_first


@pytest.mark.parametrize("mode", ["skb", "drv"])
def test_del_detaches_xdp_programs(node: Node, pod: str, mode: str) -> None:
    before = node.state()
    assert node.sriov("ADD", L2, netns=pod).status == 0
    attach_xdp(node, "pod", mode)
    assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.state() == before


def test_what_the_host_had_set_is_restored(node: Node, pod: str) -> None:
    node.run("sh", "-ec", LASTING.replace("net1", "eth1v0"))
    before = node.state()
    assert node.sriov("ADD", L2, netns=pod).status == 0
    node.run_in_pod("pod", "ip link set net1 txqueuelen 8 alias mine group 6 arp on mode default")
    assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.state() == before


def lose(node: Node) -> None:
    """End the pod without a DEL: the kernel brings its VF home as it is."""
    node.take_from_pod("pod", "net1", "eth1v0")


@pytest.mark.parametrize("leave", [lambda node: None, lose], ids=["DEL", "lost"])
def test_the_next_pod_gets_a_clean_interface(
    node: Node, pod: str, leave: Callable[[Node], None]
) -> None:
    assert node.sriov("ADD", L2, netns=pod, args="VF=0").status == 0
    at_first = given(node, "pod")
    node.run_in_pod("pod", LASTING)
    attach_xdp(node, "pod", "skb")
    leave(node)
    if leave is not lose:
        assert node.sriov("DEL", L2, netns=pod).status == 0
    next_pod = node.add_pod("next")
    assert node.sriov("ADD", L2, container="next", netns=next_pod, args="VF=0").status == 0
    assert given(node, "next") == at_first


def test_a_vf_that_came_home_without_anybodys_del_is_handed_over_clean(
    node: Node, pod: str
) -> None:
    assert node.sriov("ADD", L2, netns=pod, args="VF=0").status == 0
    at_first = given(node, "pod")
    node.run_in_pod("pod", "ip link set net1 arp off promisc on allmulticast on multicast off")
    attach_xdp(node, "pod", "drv")
    lose(node)
    node.run("rm", "-r", "/var/lib/cni/sriov")
    next_pod = node.add_pod("next")
    assert node.sriov("ADD", L2, container="next", netns=next_pod, args="VF=0").status == 0
    assert given(node, "next") == at_first


def test_the_undo_of_an_add_leaves_nothing_either(node: Node, pod: str, tmp_path: Path) -> None:
    before = node.state()
    xdp = f"{' '.join(XDP)} net1 skb"
    script = f"ip netns exec pod {xdp}; {LASTING.replace('ip link', 'ip -n pod link')}"
    path = write_plugin(tmp_path, f"[ $CNI_COMMAND != ADD ] || {{ {script}\nexit 1; }}")
    outcome = node.sriov("ADD", WRITTEN, netns=pod, path=path)
    assert outcome.code == 106
    assert "everything done was undone" in outcome.said
    assert node.state() == before


def test_an_xdp_program_that_a_bpf_link_holds_blocks_the_vf_until_it_goes(
    node: Node, pod: str
) -> None:
    before = node.state()
    assert node.sriov("ADD", L2, netns=pod, args="VF=0").status == 0
    command = (*node.entering, *IN_POD, "pod", *XDP, "net1", "skb")
    holder = subprocess.Popen([*command, "link"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "attached\n"
    deleted = node.sriov("DEL", L2, netns=pod)
    assert deleted.status == 0
    assert "detaching an XDP program (skb) from" in deleted.stderr
    next_pod = node.add_pod("next")
    refused = node.sriov("ADD", L2, container="next", netns=next_pod, args="VF=0")
    assert refused.code == 102
    assert "runs an XDP program" in refused.said
    holder.kill()
    holder.wait()
    assert node.sriov("ADD", L2, container="next", netns=next_pod, args="VF=0").status == 0
    assert node.sriov("DEL", L2, container="next", netns=next_pod).status == 0
    assert node.state() == before


def test_a_vf_blocked_by_an_xdp_program_is_passed_over(
    node: Node, pod: str, tmp_path: Path
) -> None:
    command = (*node.entering, *XDP, "eth1v0", "drv", "link")
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "attached\n"
    outcome = node.sriov("ADD", L2, netns=pod)
    assert outcome.document["interfaces"][0]["pciID"] == "0000:01:10.1"
    holder.kill()
    holder.wait()

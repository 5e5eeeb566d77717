# SPDX-License-Identifier: Apache-2.0
"""Isolation on a real VF: nothing that a pod did to it reaches the host or the next pod."""

from collections.abc import Callable

import pytest

from tests import card
from tests.plugin import Document, Plugin, run
from tests.pod_changes import IN_POD, LASTING, XDP

CONFIG: Document = {
    "cniVersion": "1.1.0",
    "name": "isolated",
    "type": "sriov",
    "master": "eth0",
    "vf": 4,
    "trust": "on",  # or the VF may not be promiscuous
}
FILTERS = """
    tc qdisc add dev net1 root netem loss 100%
    tc qdisc add dev net1 clsact
    tc filter add dev net1 ingress matchall action drop
    tc filter add dev net1 egress matchall action drop
    ip neigh add 10.7.0.9 lladdr 66:d8:02:77:00:09 nud permanent dev net1
    echo 1 >/proc/sys/net/ipv4/conf/net1/proxy_arp
"""


def seen_by(pod: str) -> dict[str, object]:
    """Return what a pod can tell of its interface, addresses and carrier aside."""
    link = card.pod_link(pod)
    varying = ("addr_info", "ifindex", "operstate", "flags", "stats64")
    kept = {key: value for key, value in link.items() if key not in varying}
    kept["flags"] = sorted(set(link["flags"]) & {"NOARP", "PROMISC", "ALLMULTI", "MULTICAST"})
    for what in (
        "tc qdisc show dev net1",
        "tc filter show dev net1 ingress",
        "ip neigh show nud permanent dev net1",
        "cat /proc/sys/net/ipv4/conf/net1/proxy_arp",
    ):
        kept[what] = run(*IN_POD, pod, *what.split())
    return kept


@pytest.mark.old_kernel
@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("ends", ["DEL", "dies"])
def test_the_next_pod_gets_a_clean_vf(sriov: Plugin, pods: Callable[[str], str], ends: str) -> None:
    red, blue = pods("red"), pods("blue")
    assert sriov("ADD", CONFIG, netns=red, container="red").status == 0
    at_first = seen_by("red")
    run(*IN_POD, "red", "sh", "-ec", LASTING + FILTERS)
    run(*IN_POD, "red", *XDP, "net1", "skb")
    assert seen_by("red") != at_first
    if ends == "DEL":
        assert sriov("DEL", CONFIG, netns=red, container="red").status == 0
    else:
        run("ip", "netns", "delete", "red")
    assert sriov("ADD", CONFIG, netns=blue, container="blue").status == 0
    assert seen_by("blue") == at_first
    for container in ("blue", "red"):
        assert sriov("DEL", CONFIG, container=container).status == 0

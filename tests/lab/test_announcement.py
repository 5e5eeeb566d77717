# SPDX-License-Identifier: Apache-2.0
"""A neighbour with a stale entry reaches the pod that has the address now."""

import subprocess
import time
from collections.abc import Callable

import pytest

from tests import card
from tests.networks import dual_stack_on
from tests.plugin import Plugin, run, run_json

pytestmark = pytest.mark.usefixtures("unchanged")
ADDRESSES = {"10.7.0.1": "ff:ff:ff:ff:ff:ff", "fd00:7::1": "33:33:00:00:00:01"}
STALE, NEW = "66:d8:02:77:00:01", "66:d8:02:77:00:02"


def entries(pod: str) -> dict[str, str]:
    """Return what a pod believes of its neighbours' MACs."""
    listed = run_json("ip", "-j", "-n", pod, "neigh", "show", "dev", "net1")
    return {entry["dst"]: entry.get("lladdr", "") for entry in listed}


def test_a_stale_entry_is_replaced_as_soon_as_the_new_pod_has_carrier(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    peer = {"container": "peer", "netns": pods("peer"), "args": "IP=10.7.0.9,fd00:7::9"}
    assert sriov("ADD", dual_stack_on("eth1"), **peer).status == 0
    card.wait_for_carrier("peer", patience=20)
    for address in ADDRESSES:
        entry = ("neigh", "replace", address, "lladdr", STALE, "nud", "stale", "dev", "net1")
        run("ip", "-n", "peer", *entry)
    capture = subprocess.Popen(
        ["ip", "netns", "exec", "peer", "tcpdump", "-lnei", "net1", "ether", "src", NEW],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    args = f"IP=10.7.0.1,fd00:7::1;MAC={NEW}"
    assert sriov("ADD", dual_stack_on("eth0"), netns=pods("pod"), args=args).status == 0
    deadline = time.monotonic() + 15
    while not all(entries("peer")[address] == NEW for address in ADDRESSES):
        assert time.monotonic() < deadline, entries("peer")
        time.sleep(0.1)
    for address in ADDRESSES:
        assert card.reaches("peer", address, patience=15)
    capture.terminate()
    frames, _ = capture.communicate()
    for address, destination in ADDRESSES.items():
        announced = [f for f in frames.splitlines() if f"{NEW} > {destination}" in f]
        assert any(address in frame for frame in announced), frames
    for container, pf in (("peer", "eth1"), ("pod", "eth0")):
        assert sriov("DEL", dual_stack_on(pf), container=container).status == 0

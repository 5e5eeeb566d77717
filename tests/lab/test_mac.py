# SPDX-License-Identifier: Apache-2.0
"""MACs on igb: administrative, effective and requested are one, round after round."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import card
from tests.plugin import Document, Plugin, run

ROUNDS = 20
pytestmark = pytest.mark.usefixtures("unchanged")


def network(pf: str) -> Document:
    """A layer 2 network on a PF."""
    return {"cniVersion": "1.1.0", "name": f"on-{pf}", "type": "sriov", "master": pf}


def attach_in_turn(sriov: Plugin, pf: str, pod: str, macs: Iterable[str]) -> list[tuple[str, ...]]:
    """ADD and DEL VF 3 with each MAC; return what was requested, reported, effective, and set."""
    seen: list[tuple[str, ...]] = []
    for mac in macs:
        args = f"VF=3;MAC={mac}"
        added = sriov("ADD", network(pf), netns=f"/run/netns/{pod}", container=pod, args=args)
        assert added.status == 0, added.said
        reported = added.document["interfaces"][0]["mac"]
        effective = card.pod_link(pod)["address"]
        seen.append((mac, reported, effective, card.administrative_mac(pf, 3)))
        deleted = sriov("DEL", network(pf), netns=f"/run/netns/{pod}", container=pod)
        assert deleted.status == 0, deleted.said
    return seen


@pytest.mark.old_kernel
def test_twenty_rounds_with_one_mac_and_twenty_with_changing_ones(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    series = {
        "eth0": ["66:d8:02:77:aa:aa"] * ROUNDS,
        "eth1": [f"66:d8:02:77:bb:{number:02x}" for number in range(ROUNDS)],
    }
    with ThreadPoolExecutor() as pool:  # one series on each card, side by side
        running = []
        for pf, macs in series.items():
            pods(f"pod-{pf}")
            running.append(pool.submit(attach_in_turn, sriov, pf, f"pod-{pf}", macs))
        for (pf, macs), seen in zip(series.items(), running, strict=True):
            assert seen.result() == [(mac,) * 4 for mac in macs], pf


@pytest.mark.old_kernel
def test_the_mac_outlives_the_interface_going_down_and_up(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    mac = "66:d8:02:77:cc:01"
    pod = pods("pod")
    assert sriov("ADD", network("eth0"), netns=pod, args=f"MAC={mac}").status == 0
    run("ip", "-n", "pod", "link", "set", "net1", "down")
    run("ip", "-n", "pod", "link", "set", "net1", "up")
    assert card.pod_link("pod")["address"] == mac
    assert sriov("DEL", network("eth0"), netns=pod).status == 0


def test_without_a_mac_the_vf_keeps_its_own(sriov: Plugin, pods: Callable[[str], str]) -> None:
    pod = pods("pod")
    (own,) = (
        device[0]
        for device in card.state()["devices"].values()  # type: ignore[attr-defined]
        if device[4] == card.vf_address("eth0", 5)
    )
    assert sriov("ADD", network("eth0"), netns=pod, args="VF=5").status == 0
    assert card.pod_link("pod")["address"] == own
    assert sriov("DEL", network("eth0"), netns=pod).status == 0


def test_macs_set_by_hand_before_are_restored(sriov: Plugin, pods: Callable[[str], str]) -> None:
    at_first = card.administrative_mac("eth0", 6)  # none on Linux 6.1, the VF's own on 6.12
    run("ip", "link", "set", "eth0", "vf", "6", "mac", "66:d8:02:77:dd:01")
    before = card.state()  # administrative and effective MAC differ: igb has not taken it over
    pod = pods("pod")
    args = "VF=6;MAC=66:d8:02:77:dd:02"
    assert sriov("ADD", network("eth0"), netns=pod, args=args).status == 0
    assert card.pod_link("pod")["address"] == "66:d8:02:77:dd:02"
    assert sriov("DEL", network("eth0"), netns=pod).status == 0
    assert card.state() == before
    run("ip", "link", "set", "eth0", "vf", "6", "mac", at_first)

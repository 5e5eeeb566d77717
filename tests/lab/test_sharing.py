# SPDX-License-Identifier: Apache-2.0
"""Many pods on the cards: different VFs, and traffic as the VLANs say."""

from collections.abc import Callable

import pytest

from tests import card
from tests.plugin import Document, Plugin, outcomes, run

pytestmark = pytest.mark.usefixtures("unchanged")


def network(pf: str) -> Document:
    """A network with addresses on a PF; both PFs share the wire and the subnet."""
    ipam = {"type": "fixipam", "subnet": "10.7.0.0/24"}
    name = f"on-{pf}"
    return {"cniVersion": "1.1.0", "name": name, "type": "sriov", "master": pf, "ipam": ipam}


def test_seven_adds_at_once_get_all_seven_vfs_and_an_eighth_fails(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    config = {"cniVersion": "1.1.0", "name": "l2", "type": "sriov", "master": "eth0"}
    paths = {f"pod{number}": pods(f"pod{number}") for number in range(card.VFS)}
    results = outcomes([sriov.start("ADD", config, container=c, netns=p) for c, p in paths.items()])
    assert [result.said for result in results if result.status] == []
    given = {result.document["interfaces"][0]["pciID"] for result in results}
    assert given == {card.vf_address("eth0", vf) for vf in range(card.VFS)}
    eighth = sriov("ADD", config, container="eighth", netns=pods("eighth"))
    assert (eighth.code, eighth.document["msg"]) == (11, "no free VF on eth0")
    results = outcomes([sriov.start("DEL", config, container=c, netns=p) for c, p in paths.items()])
    assert [result.said for result in results if result.status] == []


def test_pods_reach_each_other_on_one_vlan_and_not_across_vlans(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    plan = {  # pod: PF, address, VLAN
        "here": ("eth0", "10.7.0.1", 100),
        "same-pf": ("eth0", "10.7.0.2", 100),
        "other-pf": ("eth1", "10.7.0.3", 100),
        "same-pf-other-vlan": ("eth0", "10.7.0.4", 200),
        "other-pf-other-vlan": ("eth1", "10.7.0.5", 200),
    }
    for pod, (pf, address, vlan) in plan.items():
        args = f"IP={address};VLAN={vlan}"
        outcome = sriov("ADD", network(pf), container=pod, netns=pods(pod), args=args)
        assert outcome.status == 0, outcome.said
    assert card.reaches("here", "10.7.0.2", patience=20)
    assert card.reaches("here", "10.7.0.3", patience=20)
    assert card.reaches("other-pf", "10.7.0.2", patience=20)
    # The other VLAN works in itself, so silence between the two is the VLANs' doing.
    assert card.reaches("same-pf-other-vlan", "10.7.0.5", patience=20)
    assert not card.reaches("here", "10.7.0.4", patience=3)
    assert not card.reaches("here", "10.7.0.5", patience=3)
    assert not card.reaches("other-pf-other-vlan", "10.7.0.3", patience=3)
    for pod, (pf, _, _) in plan.items():
        assert sriov("DEL", network(pf), container=pod).status == 0


def test_all_attributes_the_card_takes_are_set_and_restored(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    wanted = {"vlan": 7, "vlanQoS": 3, "spoofchk": "off", "trust": "on", "max_tx_rate": 100}
    config = network("eth0") | wanted | {"mtu": 1400}
    pod = pods("pod")
    assert sriov("ADD", config, netns=pod, args="IP=10.7.0.9;VF=2").status == 0
    info = card.vf_info("eth0", 2)
    assert info["vlan_list"] == [{"vlan": 7, "qos": 3}]
    assert (info["spoofchk"], info["trust"], info["rate"]["max_tx"]) == (False, True, 100)
    assert card.pod_link("pod")["mtu"] == 1400
    assert sriov("DEL", config, netns=pod).status == 0


def test_a_vlan_that_was_there_before_stays_unless_another_is_asked_for(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    run("ip", "link", "set", "eth0", "vf", "2", "vlan", "50")
    pod = pods("pod")
    for request, expected in (("", 50), (";VLAN=0", 0), (";VLAN=60", 60)):
        args = f"VF=2;IP=10.7.0.9{request}"
        assert sriov("ADD", network("eth0"), netns=pod, args=args).status == 0
        assert card.vlan("eth0", 2) == expected
        assert sriov("DEL", network("eth0"), netns=pod).status == 0
        assert card.vlan("eth0", 2) == 50
    run("ip", "link", "set", "eth0", "vf", "2", "vlan", "0")


def test_a_vf_whose_pod_died_is_restored_by_a_late_del(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    config = network("eth0") | {"mtu": 1400}
    pod = pods("pod")
    args = "IP=10.7.0.9;VF=2;MAC=66:d8:02:77:ee:01;VLAN=9"
    assert sriov("ADD", config, netns=pod, args=args).status == 0
    run("ip", "netns", "delete", "pod")
    assert sriov("DEL", config).status == 0


def test_a_vf_whose_pod_died_without_del_is_taken_over_by_the_next_add(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    config = network("eth0")
    args = "IP=10.7.0.9;VF=2;MAC=66:d8:02:77:ee:01;VLAN=9"
    assert sriov("ADD", config, container="dead", netns=pods("dead"), args=args).status == 0
    run("ip", "netns", "delete", "dead")
    outcome = sriov("ADD", config, container="next", netns=pods("next"), args=args)
    assert outcome.status == 0, outcome.said
    assert sriov("DEL", config, container="next").status == 0


def test_check_names_a_vlan_changed_behind_our_back(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    config = network("eth0") | {"vlan": 9}
    pod = pods("pod")
    added = sriov("ADD", config, netns=pod, args="IP=10.7.0.9;VF=2")
    checked = config | {"prevResult": added.document}
    assert sriov("CHECK", checked, netns=pod).status == 0
    run("ip", "link", "set", "eth0", "vf", "2", "vlan", "10")
    assert "vlan is 10, not 9" in sriov("CHECK", checked, netns=pod).said
    assert sriov("DEL", config, netns=pod).status == 0

# SPDX-License-Identifier: Apache-2.0
"""What the host uses stays on the host, on real drivers and with the kernel's own sysfs."""

from collections.abc import Callable, Iterator

import pytest

from tests import card
from tests.plugin import Document, Plugin, run, wait_for

L2: Document = {"cniVersion": "1.1.0", "name": "layer2", "type": "sriov", "master": "eth1"}
ON_TOP = {
    "VLAN": ("8021q", "type vlan id 100"),
    "macvlan": ("macvlan", "type macvlan mode bridge"),
    "macvtap": ("macvtap", "type macvtap mode bridge"),
    "ipvlan": ("ipvlan", "type ipvlan"),
}
PutOn = Callable[[str, str], None]


@pytest.fixture
def put_on() -> Iterator[PutOn]:
    """Have the host's device storage100, with an address, sit on another, until the test's end."""
    devices = card.state()["devices"]

    def put(netdev: str, kind: str) -> None:
        module, words = ON_TOP[kind]
        run("modprobe", module)
        run("ip", "link", "add", "link", netdev, "name", "storage100", *words.split())
        run("ip", "addr", "add", "10.99.0.1/24", "dev", "storage100")

    yield put
    run("ip", "link", "delete", "storage100")
    assert card.state()["devices"] == devices


@pytest.fixture
def first() -> Iterator[str]:
    """The name of VF 0 of eth1, up: igbvf takes VLANs only once it has carrier."""
    (name,) = card.netdevs("eth1", 0)
    run("ip", "link", "set", name, "up")
    wait_for(lambda: "LOWER_UP" in run("ip", "link", "show", name), patience=20)
    yield name
    run("ip", "link", "set", name, "down")


@pytest.mark.parametrize("kind", ON_TOP)
def test_the_first_free_vf_is_none_that_the_host_uses(
    sriov: Plugin, pods: Callable[[str], str], put_on: PutOn, first: str, kind: str
) -> None:
    put_on(first, kind)
    pod = pods("pod")
    outcome = sriov("ADD", L2, netns=pod)
    assert outcome.document["interfaces"][0]["pciID"] == card.vf_address("eth1", 1)
    assert sriov("DEL", L2, netns=pod).status == 0
    for asked in ({"vf": 0}, {"deviceID": card.vf_address("eth1", 0)}):
        outcome = sriov("ADD", L2 | asked, netns=pod)
        assert outcome.code == 102
        assert f"({first}) is the host's: storage100 sits on it" in outcome.said


@pytest.mark.parametrize("kind", ON_TOP)
def test_a_pf_that_the_host_uses_stays(
    sriov: Plugin, pods: Callable[[str], str], put_on: PutOn, kind: str
) -> None:
    put_on("eth1", kind)
    outcome = sriov("ADD", L2 | {"pfOnly": True}, netns=pods("pod"))
    assert outcome.code == 102
    assert "(eth1) is the host's: storage100 sits on it" in outcome.said


def test_a_pf_with_a_default_route_stays(sriov: Plugin, pods: Callable[[str], str]) -> None:
    route = ("default", "dev", "eth1", "metric", "4000")
    run("ip", "route", "add", *route)
    outcome = sriov("ADD", L2 | {"pfOnly": True}, netns=pods("pod"))
    run("ip", "route", "delete", *route)
    assert outcome.code == 102
    assert "(eth1) carries a default route of the host" in outcome.said


@pytest.mark.usefixtures("unchanged")
def test_a_card_whose_vfs_pods_have_is_in_service(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    names = [f"pod{number}" for number in range(card.VFS)]
    for name in names:
        assert sriov("ADD", L2, container=name, netns=pods(name)).status == 0
    assert sriov("ADD", L2, container="late", netns=pods("late")).code == 11
    assert sriov("STATUS", L2).status == 0
    for name in names:
        assert sriov("DEL", L2, container=name).status == 0
    whole, single = L2 | {"pfOnly": True}, L2 | {"deviceID": card.vf_address("eth1", 2)}
    assert sriov("ADD", whole, netns=pods("whole")).status == 0
    for config in (L2, whole, single):
        outcome = sriov("STATUS", config)
        assert outcome.status == 0, outcome.said
    assert sriov("DEL", whole).status == 0

# SPDX-License-Identifier: Apache-2.0
"""Every VF of the guest at once: no VF is given twice, none is lost, all are as before.

`make test` has two PFs and two rounds, `make torture` four PFs and RACE_ROUNDS=20. In every second
round no pod waits for the others between its ADD and its DEL.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from tests import card
from tests.plugin import Document, Outcome, Plugin, outcomes

ROUNDS = int(os.environ.get("RACE_ROUNDS", "2"))
RIVALS = 7
LAYER_2: Document = {"cniVersion": "1.1.0", "name": "rivals", "type": "sriov", "master": "eth0"}


class Pod(NamedTuple):
    """A container with a namespace, the network it belongs to, and what its ADD asks for."""

    container: str
    netns: str
    network: Document
    args: str

    def asks(self) -> dict[str, str]:
        """Return the parameters of a call for it."""
        return {"container": self.container, "netns": self.netns, "args": self.args}


def network(pf: str) -> Document:
    """A network with addresses and a VLAN on a PF."""
    vlan = 10 + card.PFS.index(pf)
    ipam = {"type": "fixipam", "subnet": f"10.{vlan}.0.0/24"}
    return LAYER_2 | {"name": f"on-{pf}", "master": pf, "vlan": vlan, "ipam": ipam}


@pytest.fixture
def crowd(pods: Callable[[str], str]) -> list[Pod]:
    """As many pods as there are VFs, an equal share on each PF; each asks for a MAC of its own."""
    made = []
    for pf in card.PFS:
        vlan = network(pf)["vlan"]
        for number in range(card.VFS):
            name = f"{pf}-{number}"
            args = f"IP=10.{vlan}.0.{number + 1};MAC=66:d8:02:77:{vlan:02x}:{number:02x}"
            made.append(Pod(name, pods(name), network(pf), args))
    return made


def at_once(sriov: Plugin, command: str, pods: list[Pod]) -> list[Outcome]:
    """Execute a command for all pods at once."""
    return outcomes([sriov.start(command, pod.network, **pod.asks()) for pod in pods])


def failures(results: list[Outcome]) -> list[str]:
    """Return what the failed ones said."""
    return [result.said for result in results if result.status]


def test_all_vfs_are_given_at_once_and_given_back_at_once(sriov: Plugin, crowd: list[Pod]) -> None:
    before = card.state()
    everything = {card.vf_address(pf, vf) for pf in card.PFS for vf in range(card.VFS)}
    for _ in range(0, ROUNDS, 2):
        added = at_once(sriov, "ADD", crowd)
        assert failures(added) == []
        assert {result.document["interfaces"][0]["pciID"] for result in added} == everything
        assert failures(at_once(sriov, "DEL", crowd)) == []
        assert card.state() == before


def test_adds_and_dels_overtake_each_other(sriov: Plugin, crowd: list[Pod]) -> None:
    before = card.state()

    def live(pod: Pod) -> list[str]:
        return failures([sriov(command, pod.network, **pod.asks()) for command in ("ADD", "DEL")])

    with ThreadPoolExecutor(len(crowd)) as threads:
        for _ in range(1, ROUNDS, 2):
            assert [said for said in threads.map(live, crowd) if said] == []
            assert card.state() == before


def test_of_all_who_want_the_same_vf_one_gets_it(sriov: Plugin, pods: Callable[[str], str]) -> None:
    names = [f"rival-{number}" for number in range(RIVALS)]
    rivals = [Pod(name, pods(name), LAYER_2, "VF=3;VLAN=30") for name in names]
    before = card.state()
    for _ in range(ROUNDS):
        results = at_once(sriov, "ADD", rivals)
        assert sorted(result.code for result in results) == [0] + [11] * (RIVALS - 1)
        assert card.vlan("eth0", 3) == 30
        assert failures(at_once(sriov, "DEL", rivals)) == []
        assert card.state() == before

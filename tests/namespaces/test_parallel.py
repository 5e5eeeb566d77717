# SPDX-License-Identifier: Apache-2.0
"""Runtimes attach many pods at once: no VF is given twice, none is lost."""

from collections.abc import Iterator

import pytest

from tests.networks import L2
from tests.node import Node
from tests.plugin import Document, outcomes
from tests.points import EVERYTHING

PFS, VFS = 4, 7
ROUNDS = 20 if EVERYTHING else 5
POOL: Document = L2 | {
    "ipam": {"type": "fixipam", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.1"}
}


@pytest.fixture
def crowded() -> Iterator[Node]:
    """A node with four PFs of seven VFs, and as many pods."""
    with Node() as node:
        for number in range(PFS):
            node.add_pf(f"eth{number}", vfs=VFS, bus=number + 1)
        for number in range(PFS * VFS):
            node.add_pod(f"pod{number}")
        yield node


def test_all_vfs_of_a_node_come_and_go_at_once_round_after_round(crowded: Node) -> None:
    before = crowded.state()
    attachments = [
        (POOL | {"master": f"eth{number % PFS}"}, {"container": f"pod{number}", "netns": pod})
        for number in range(PFS * VFS)
        for pod in [f"/run/netns/pod{number}"]
    ]
    for _ in range(ROUNDS):
        added = outcomes([crowded.sriov.start("ADD", c, **a) for c, a in attachments])
        assert [outcome.said for outcome in added if outcome.status] == []
        assert len({o.document["interfaces"][0]["pciID"] for o in added}) == PFS * VFS
        assert len({o.document["ips"][0]["address"] for o in added}) == PFS * VFS
        deleted = outcomes([crowded.sriov.start("DEL", c, **a) for c, a in attachments])
        assert [outcome.said for outcome in deleted if outcome.status] == []
        assert crowded.state() == before


def test_a_del_and_the_next_add_of_each_vf_at_once(crowded: Node) -> None:
    """The next pod wants a VF while its last one still gives it back: it waits for the lock."""
    before = crowded.state()
    holders = ["first", "second"]
    requests = [(L2 | {"master": f"eth{n % PFS}"}, f"VF={n // PFS}") for n in range(8)]

    def start(command: str, number: int, container: str) -> object:
        config, args = requests[number]
        pod = f"/run/netns/pod{number}"
        name = f"{container}{number}"
        return crowded.sriov.start(
            command, config, container=name, netns=pod, args=args, ifname=container
        )

    added = outcomes([start("ADD", n, "first") for n in range(8)])  # type: ignore[misc]
    assert {outcome.status for outcome in added} == {0}
    for _ in range(ROUNDS):
        running = []
        for number in range(8):
            running.append(start("DEL", number, holders[0]))
            running.append(start("ADD", number, holders[1]))
        ended = outcomes(running)  # type: ignore[arg-type]
        assert {outcome.status for outcome in ended[::2]} == {0}
        refused = [n for n, outcome in enumerate(ended[1::2]) if outcome.status]
        assert {ended[1::2][n].code for n in refused} <= {11}
        again = outcomes([start("ADD", n, holders[1]) for n in refused])  # type: ignore[misc]
        assert {outcome.status for outcome in again} <= {0}
        holders.reverse()
    outcomes([start("DEL", n, holders[0]) for n in range(8)])  # type: ignore[misc]
    assert crowded.state() == before


def test_an_eighth_pod_gets_none_of_seven_vfs(crowded: Node) -> None:
    pods = {f"pod{number}": f"/run/netns/pod{number}" for number in range(8)}
    running = [crowded.sriov.start("ADD", L2, container=c, netns=p) for c, p in pods.items()]
    ended = sorted(outcomes(running), key=lambda outcome: outcome.status)
    assert [outcome.status for outcome in ended] == [0] * 7 + [1]
    assert (ended[7].code, ended[7].document["msg"]) == (11, "no free VF on eth1")


def test_of_28_adds_for_one_vf_exactly_one_wins(crowded: Node) -> None:
    before = crowded.state()
    pods = {f"pod{number}": f"/run/netns/pod{number}" for number in range(PFS * VFS)}
    running = [
        crowded.sriov.start("ADD", L2, container=c, netns=p, args="VF=1") for c, p in pods.items()
    ]
    codes = sorted(outcome.code for outcome in outcomes(running))
    assert codes == [0] + [11] * 27
    outcomes([crowded.sriov.start("DEL", L2, container=c) for c in pods])
    assert crowded.state() == before


def test_of_a_pods_many_dels_and_gcs_at_once_all_succeed(crowded: Node) -> None:
    before = crowded.state()
    pods = {f"pod{number}": f"/run/netns/pod{number}" for number in range(VFS)}
    outcomes([crowded.sriov.start("ADD", POOL, container=c, netns=p) for c, p in pods.items()])
    collect = POOL | {"cni.dev/valid-attachments": []}
    running = [crowded.sriov.start("GC", collect) for _ in range(3)]
    running += [crowded.sriov.start("DEL", POOL, container=c) for c in pods for _ in range(2)]
    assert [outcome.said for outcome in outcomes(running) if outcome.status] == []
    assert crowded.state() == before

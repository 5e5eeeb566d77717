# SPDX-License-Identifier: Apache-2.0
"""Runtimes attach many pods at once: no VF is given twice."""

from tests.namespaces.node import Node
from tests.namespaces.test_add import L2
from tests.plugin import outcomes


def test_seven_adds_at_once_get_seven_different_vfs_and_an_eighth_fails() -> None:
    with Node() as node:
        node.add_pf("eth1", vfs=7)
        before = node.state()
        pods = {f"pod{number}": node.add_pod(f"pod{number}") for number in range(7)}
        running = [node.sriov.start("ADD", L2, container=c, netns=p) for c, p in pods.items()]
        results = outcomes(running)
        assert [result.said for result in results if result.status] == []
        assert len({r.document["interfaces"][0]["pciID"] for r in results}) == 7
        eighth = node.sriov("ADD", L2, container="eighth", netns=node.add_pod("eighth"))
        assert (eighth.code, eighth.document["msg"]) == (11, "no free VF on eth1")
        outcomes([node.sriov.start("DEL", L2, container=c, netns=p) for c, p in pods.items()])
        assert node.state() == before


def test_of_five_adds_for_one_vf_exactly_one_wins(node: Node) -> None:
    pods = {f"pod{number}": node.add_pod(f"pod{number}") for number in range(5)}
    running = [
        node.sriov.start("ADD", L2, container=c, netns=p, args="VF=1") for c, p in pods.items()
    ]
    codes = sorted(outcome.code for outcome in outcomes(running))
    assert codes == [0, 11, 11, 11, 11]

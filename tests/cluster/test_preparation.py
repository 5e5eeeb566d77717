# SPDX-License-Identifier: Apache-2.0
"""A node with bare cards, its file, and deploy/: VFs, resources and pods come from nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import card
from tests.cluster import agents, objects
from tests.cluster.installation import PROJECT
from tests.cluster.node import Node, until, until_equal
from tests.cluster.pods import Pods
from tests.plugin import run
from tests.prepared import State, drivers

DEPLOY = str(PROJECT / "deploy")
FILE = Path("/etc/sriov/node.json")
RESOURCES = [{**each, "resourcePrefix": agents.PREFIX} for each in agents.RESOURCES]


def want(red: State, blue: State) -> None:
    """Write the node's file; the agent may mend whatever nobody uses."""
    functions = [red.wanted("eth0"), blue.wanted("eth1")]
    document = {"functions": functions, "resources": RESOURCES, "reconcile": "free"}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(document))


@pytest.fixture
def bare(node: Node) -> Iterator[None]:
    """The node without VFs; with seven of each card afterwards."""
    for pf in card.PFS:
        card.enable_vfs(pf, 0)
    node.api.apply(*agents.NETWORKS)
    yield
    run("kubectl", "delete", "-k", f"{DEPLOY}/agent")
    FILE.unlink()
    for pf in card.PFS:
        card.enable_vfs(pf, 0)
        card.enable_vfs(pf, card.VFS)


@pytest.mark.usefixtures("bare")
def test_a_bare_node_becomes_what_its_file_wants_and_a_pods_vf_stays(
    node: Node, pods: Pods
) -> None:
    want(State(3), State(7, (0, 1)))
    run("kubectl", "apply", "-k", DEPLOY)
    agents.await_allocatable(node, red=3, blue=5, vfio=2)
    assert [drivers(pf) for pf in ("eth0", "eth1")] == [
        State(3).drivers(),
        State(7, (0, 1)).drivers(),
    ]
    pods.run(objects.pod("holding", "chosen-red", "chosen-blue", resources=agents.BOTH))
    agents.require_each_its_own(pods, "holding")

    want(State(7), State(7, (0, 1)))
    said = "cannot go: it has 3 VFs, not 7"
    until(lambda: said in agents_log(), 120, "a line that says who is in the way")
    (line,) = (each for each in agents_log().splitlines() if said in each and "holding" in each)
    assert "was given to container" in line
    assert "of pod default/holding" in line
    plan = run("kubectl", "-n", "kube-system", "exec", *PLAN, check=False)
    assert plan.count("of pod default/holding") == 1
    assert drivers("eth0") == State(3).drivers()

    pods.delete("holding")
    try:
        until_equal(lambda: drivers("eth0"), State(7).drivers(), 120)
    except AssertionError:
        raise AssertionError(agents_log()) from None
    agents.await_allocatable(node, red=7, blue=5, vfio=2)


PLAN = ("daemonset/sriov-agent", "--", "sh", "-c", "/sriov-node/sriovctl node plan 2>&1")


def agents_log() -> str:
    """Return what the agent has written."""
    return run("kubectl", "-n", "kube-system", "logs", "daemonset/sriov-agent", check=False)

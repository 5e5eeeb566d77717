# SPDX-License-Identifier: Apache-2.0
"""Two releases on one node, in a rolling upgrade or after a rollback: neither loses anything.

The other release is one of two, as they were, from this repository's history: the one before
records had more than the first format, and the one before the code of devices had its own floor.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.networks import FULL, L2, keeping
from tests.node import Node
from tests.plugin import Document, Plugin
from tests.pod_changes import LASTING

_OTHERS = ("82e1f90", "b1d4877")
_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", params=_OTHERS)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other release's source."""
    commit = str(request.param)
    directory = tmp_path_factory.mktemp("other")
    git = ("git", "-C", str(_ROOT), "-c", f"safe.directory={_ROOT}")
    archive = subprocess.run([*git, "archive", commit, "sriov_cni", "ipam"], capture_output=True)
    if archive.returncode:
        pytest.skip(f"this checkout's history does not reach back to {commit}: a shallow clone")
    subprocess.run(["tar", "-x", "-C", str(directory)], input=archive.stdout, check=True)
    return directory


@pytest.fixture
def other(node: Node, source: Path) -> Plugin:
    """The other release's executable."""
    python = ("env", f"PYTHONPATH={source}", sys.executable, "-P", "-m", "sriov_cni")
    return Plugin(*node.entering, *python)


@pytest.mark.parametrize("config", [L2, FULL], ids=["layer 2", "dual stack"])
def test_each_takes_down_what_the_other_attached(
    node: Node, pod: str, other: Plugin, config: Document
) -> None:
    before = node.state()
    for adding, deleting in ((other, node.sriov), (node.sriov, other)):
        added = adding("ADD", config, netns=pod)
        assert added.status == 0, added
        checked = config | {"prevResult": added.document}
        assert deleting("CHECK", checked, netns=pod).status == 0
        deleted = deleting("DEL", config, netns=pod)
        assert (deleted.status, deleted.stderr) == (0, "")
        assert node.state() == before


def test_neither_takes_what_the_other_has(node: Node, pod: str, other: Plugin) -> None:
    before = node.state()
    releases = {"one": other, "two": node.sriov, "three": other}
    for name, release in releases.items():
        added = release("ADD", L2, container=name, netns=node.add_pod(name))
        assert (added.status, added.stderr) == (0, "")
    for release in (other, node.sriov):
        assert release("ADD", L2, netns=pod).code == 11
        assert release("ADD", L2, netns=pod, args="VF=1").code == 11
        collected = release("GC", keeping(L2, *releases))
        assert (collected.status, collected.stderr) == (0, "")
    assert node.sriov("GC", keeping(L2, "two")).status == 0
    assert other("GC", keeping(L2)).status == 0
    assert node.state() == before


def test_each_restores_what_the_others_pod_lost(node: Node, pod: str, other: Plugin) -> None:
    before = node.state()
    for adding, next_adding in ((other, node.sriov), (node.sriov, other)):
        lost = adding("ADD", FULL, netns=pod, args="VF=0;MAC=66:d8:02:77:aa:aa")
        assert lost.status == 0
        node.take_from_pod("pod", "net1", "eth1v0")
        node.add_pod("next")
        given = next_adding("ADD", L2, container="next", netns="/run/netns/next", args="VF=0")
        assert "lost by interface net1 of container pod without a DEL" in given.stderr
        assert adding("DEL", FULL, netns=pod).status == 0
        assert next_adding("DEL", L2, container="next").status == 0
        assert node.state() == before
        node.run("ip", "netns", "delete", "next")


def test_settings_that_only_the_newer_one_records_are_cleared_by_its_next_add(
    node: Node, pod: str, other: Plugin
) -> None:
    assert node.sriov("ADD", L2, netns=pod, args="VF=0").status == 0
    node.run_in_pod("pod", LASTING)
    assert other("DEL", L2, netns=pod).status == 0
    assert node.sriov("ADD", L2, netns=pod, args="VF=0").status == 0
    (link,) = node.ip("-n", "pod", "link", "show", "net1")
    assert {"MULTICAST"} <= set(link["flags"])
    assert not {"NOARP", "PROMISC", "ALLMULTI"} & set(link["flags"])

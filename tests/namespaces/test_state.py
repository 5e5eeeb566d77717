# SPDX-License-Identifier: Apache-2.0
"""The state directory on bad days: damaged records, foreign files, a disk that refuses."""

import json
import os
import stat
from collections.abc import Callable

import pytest

from tests.namespaces.node import Node
from tests.namespaces.test_add import L2
from tests.namespaces.test_delete import FULL
from tests.namespaces.test_gc_status import keeping
from tests.plugin import Document

STATE = "/var/lib/cni/sriov"
FULL_ARGS = "VF=0;MAC=66:d8:02:77:aa:aa"


def _changed(**values: object) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), **values})


DAMAGE: dict[str, Callable[[str], str]] = {
    "truncated": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "no JSON": lambda text: "\0" * len(text),
    "no object": lambda text: "[]",
    "of another format": _changed(format=99),
    "without a key": lambda text: json.dumps({"format": 1}),
    "with a foreign key": _changed(colour="red"),
    "with a value of another type": _changed(before=5),
    "of another attachment": lambda text: text.replace(
        '"container_id":"pod"', '"container_id":"x"'
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_set_aside_and_concerns_nobody_else(
    node: Node, pod: str, damage: str
) -> None:
    for name in ("one", "two"):
        assert node.sriov("ADD", L2, container=name, netns=node.add_pod(name)).status == 0
    assert node.sriov("ADD", L2, netns=pod).status == 0
    record = f"{STATE}/0000:01:10.2,pod,net1"
    node.write(record, DAMAGE[damage](node.read(record)))
    collected = node.sriov("GC", keeping(L2, "two", "pod"))
    assert (collected.status, collected.document) == (0, {})
    assert f"record {record} is damaged, set aside" in collected.stderr
    assert node.state()["records"] == ["0000:01:10.1,two,net1", "damaged-0000:01:10.2,pod,net1"]
    assert node.sriov("ADD", L2, container="three", netns=node.add_pod("three")).status == 0
    for container in ("two", "three", "pod"):
        assert node.sriov("DEL", L2, container=container).status == 0
    assert node.state()["records"] == ["damaged-0000:01:10.2,pod,net1"]


def test_files_that_are_no_records_are_left_alone(node: Node, pod: str) -> None:
    foreign = ["container-net1", "notes.txt", "0000:01:10.0", "0000:01:10.0,pod", "x,pod,net1"]
    for name in foreign:
        node.write(f"{STATE}/{name}", "{}")
    before = node.state()
    assert node.sriov("ADD", L2, netns=pod).status == 0
    assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.sriov("GC", keeping(L2)).status == 0
    assert node.state() == before


def test_state_is_for_root_alone(node: Node, pod: str) -> None:
    assert node.sriov("ADD", FULL, netns=pod, args=FULL_ARGS).status == 0
    found: dict[str, int] = {}
    for directory in (STATE, "/var/lib/cni/fixipam"):
        for path, _, names in os.walk(node.path(directory)):
            found |= {p: os.lstat(p).st_mode for p in (path, *(f"{path}/{n}" for n in names))}
    modes = {(stat.S_IFMT(mode), stat.S_IMODE(mode)) for mode in found.values()}
    assert modes == {(stat.S_IFDIR, 0o700), (stat.S_IFREG, 0o600)}
    assert len(found) == 7  # two directories and the network's, record, lock, two leases


@pytest.fixture
def read_only(node: Node) -> str:
    """A state directory on a file system of its own that is read-only."""
    directory = "/var/lib/cni/frozen"
    node.run("mkdir", directory)
    node.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", directory)
    return directory


def test_a_read_only_state_directory_is_refused_before_anything_is_changed(
    node: Node, pod: str, read_only: str
) -> None:
    before = node.state()
    config = FULL | {"dataDir": read_only}
    outcome = node.sriov("ADD", config, netns=pod, args=FULL_ARGS)
    assert outcome.code == 104
    assert f"{read_only}: Read-only file system; make it a writable directory" in outcome.said
    assert node.sriov("STATUS", config).code == 50
    assert node.state() == before


def test_an_attachment_survives_its_state_directory_becoming_read_only(
    node: Node, pod: str, read_only: str
) -> None:
    before = node.state()
    node.run("mount", "-o", "remount,rw", read_only)
    config = FULL | {"dataDir": read_only}
    added = node.sriov("ADD", config, netns=pod, args=FULL_ARGS)
    assert added.status == 0
    node.run("mount", "-o", "remount,ro", read_only)
    checked: Document = config | {"prevResult": added.document}
    assert node.sriov("CHECK", checked, netns=pod).status == 0
    assert node.sriov("DEL", config, netns=pod).code == 104
    node.run("mount", "-o", "remount,rw", read_only)
    assert node.sriov("DEL", config, netns=pod).status == 0
    assert node.state() == before


def test_a_full_disk_is_refused_before_anything_is_changed(node: Node, pod: str) -> None:
    directory = "/var/lib/cni/full"
    node.run("mkdir", directory)
    node.run("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", directory)
    node.write(f"{directory}/filler", "x" * 4096)
    before = node.state()
    outcome = node.sriov("ADD", FULL | {"dataDir": directory}, netns=pod, args=FULL_ARGS)
    assert outcome.code == 104
    assert "No space left on device" in outcome.said
    assert node.state() == before
    assert set(os.listdir(node.path(directory))) == {"filler", "lock"}


def test_a_state_directory_that_is_no_directory_is_refused(node: Node, pod: str) -> None:
    node.write("/var/lib/cni/file", "")
    before = node.state()
    outcome = node.sriov("ADD", L2 | {"dataDir": "/var/lib/cni/file"}, netns=pod)
    assert outcome.code == 104
    assert "Not a directory" in outcome.said
    assert node.state() == before


def test_state_removed_by_hand_leaves_nothing_to_undo(node: Node, pod: str) -> None:
    assert node.sriov("ADD", L2, netns=pod).status == 0
    node.run("rm", "-r", STATE)
    outcome = node.sriov("DEL", L2, netns=pod)
    assert (outcome.status, outcome.document) == (0, {})
    assert node.sriov("GC", keeping(L2)).status == 0
    assert not os.path.exists(node.path(STATE))

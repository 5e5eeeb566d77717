# SPDX-License-Identifier: Apache-2.0
"""The state directory on bad days: damaged records, foreign files, a disk that refuses."""

import json
import os
import stat
from collections.abc import Callable

import pytest

from tests.networks import DEVICE, FULL, L2, keeping
from tests.node import Node
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
    "of no format": _changed(format=None),
    "without a key": lambda text: json.dumps({"format": 1}),
    "with a value of another type": _changed(before=5),
    "of another attachment": lambda text: text.replace(
        '"container_id":"pod"', '"container_id":"x"'
    ),
}
RECORD = f"{STATE}/0000:01:10.2,pod,net1"


@pytest.fixture
def three(node: Node, pod: str) -> list[str]:
    """Three attachments, the last of them the pod's on VF 2; the names of their records."""
    for name in ("one", "two"):
        assert node.sriov("ADD", L2, container=name, netns=node.add_pod(name)).status == 0
    assert node.sriov("ADD", L2, netns=pod).status == 0
    return ["0000:01:10.0,one,net1", "0000:01:10.1,two,net1", "0000:01:10.2,pod,net1"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_keeps_its_claim_and_concerns_nobody_else(
    node: Node, three: list[str], damage: str
) -> None:
    node.write(RECORD, DAMAGE[damage](node.read(RECORD)))
    collected = node.sriov("GC", keeping(L2, "two", "pod"))
    assert (collected.status, collected.document) == (0, {})
    assert f"a record is damaged: {RECORD}: " in collected.stderr
    assert node.state()["records"] == three[1:]
    node.add_pod("three")
    refused = node.sriov("ADD", L2, container="three", netns="/run/netns/three", args="VF=2")
    assert refused.code == 104
    assert f"{RECORD}: " in refused.said
    given = node.sriov("ADD", L2, container="three", netns="/run/netns/three")
    assert given.document["interfaces"][0]["pciID"] == "0000:01:10.0"
    for container in ("two", "three"):
        assert node.sriov("DEL", L2, container=container).status == 0
    assert node.state()["records"] == three[2:]


def test_a_damaged_user_space_vf_is_not_given_to_a_second_pod(node: Node, pod: str) -> None:
    node.bind_to_userspace(2)
    config = DEVICE | {"deviceID": "0000:01:10.2"}
    assert node.sriov("ADD", config, netns=pod).status == 0
    node.write(RECORD, "")
    node.add_pod("next")
    assert node.sriov("ADD", config, container="next", netns="/run/netns/next").code == 104
    assert node.sriov("DEL", config, netns=pod).status == 0
    assert node.sriov("ADD", config, container="next", netns="/run/netns/next").status == 0


@pytest.mark.parametrize("command", ["DEL", "GC"])
def test_the_attachments_own_del_or_gc_sets_a_damaged_record_aside(
    node: Node, pod: str, three: list[str], command: str
) -> None:
    node.write(RECORD, json.dumps({"format": 1, "network": "layer2"}))
    config = L2 if command == "DEL" else keeping(L2, "one", "two")
    outcome = node.sriov(command, config, netns=pod)
    assert (outcome.status, outcome.document) == (0, {})
    assert "it is set aside as damaged-0000:01:10.2,pod,net1" in outcome.stderr
    assert node.state()["records"] == [*three[:2], "damaged-0000:01:10.2,pod,net1"]
    assert node.sriov("DEL", L2, netns=pod).status == 0


def test_keys_of_a_newer_release_are_passed_over_and_kept(
    node: Node, pod: str, three: list[str]
) -> None:
    node.write(RECORD, _changed(colour="red")(node.read(RECORD)))
    outcome = node.sriov("GC", keeping(L2, "one", "two", "pod"))
    assert (outcome.status, outcome.stderr) == (0, "")
    assert json.loads(node.read(RECORD))["colour"] == "red"
    assert node.sriov("DEL", L2, netns=pod).status == 0
    assert node.state()["records"] == three[:2]


def test_a_record_of_a_newer_format_is_refused_aloud_and_left_alone(
    node: Node, pod: str, three: list[str]
) -> None:
    node.write(RECORD, _changed(format=2, before="something else")(node.read(RECORD)))
    written = node.read(RECORD)
    own = node.sriov("DEL", L2, netns=pod)
    assert (own.code, own.document["msg"]) == (104, "a record was made by a newer release")
    assert f"{RECORD}: its format is 2, this release knows 1; use that release" in own.said
    collected = node.sriov("GC", keeping(L2, "one", "two"))
    assert "a record was made by a newer release" in collected.said
    other = node.sriov("ADD", L2, container="x", netns=node.add_pod("x"), args="VF=2")
    assert (other.code, RECORD in other.said) == (104, True)
    assert node.sriov("DEL", L2, container="one").status == 0
    free = node.sriov("ADD", L2, container="x", netns="/run/netns/x")
    assert free.document["interfaces"][0]["pciID"] == "0000:01:10.0"
    assert node.read(RECORD) == written


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


def test_a_misspelt_directory_is_the_same_one_for_add_del_and_gc(node: Node, pod: str) -> None:
    network = L2 | {"cniVersion": "1.1.0", "datadir": "/var/lib/cni/elsewhere"}
    before = node.state()
    for take_back in ("DEL", "GC"):
        assert node.sriov("ADD", network, netns=pod).status == 0
        assert len(node.files("/var/lib/cni/elsewhere")) == 1
        assert node.sriov(take_back, network | {"cni.dev/valid-attachments": []}).status == 0
        assert node.files("/var/lib/cni/elsewhere") == []
        assert node.state() == before

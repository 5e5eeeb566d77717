# SPDX-License-Identifier: Apache-2.0
"""What somebody planted where the plugin keeps its state: never followed, never waited for."""

import os
import socket
import stat
import time
from collections.abc import Callable, Iterator

import pytest

from tests.networks import L2
from tests.node import Node
from tests.plugin import Document, Outcome

_STATE, _LEASES = "/var/lib/cni/sriov", "/var/lib/cni/fixipam/layer2"
_PRECIOUS = "/var/lib/precious"
_IPAM = {"type": "fixipam", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5"}
_CONFIG: Document = L2 | {"ipam": _IPAM, "cni.dev/valid-attachments": []}
_PLANTED = {
    _STATE: ("0000:01:10.0,pod,net1", "0000:01:10.1,other,net1", "returned,pod,net1", "pci"),
    _LEASES: ("10.1.0.5,pod,net1", "10.1.0.6,other,net1", "lock", "released"),
}
_PATIENCE = 15.0  # seconds; who waits for a lock waits 20


def link(node: Node, path: str) -> None:
    os.symlink(_PRECIOUS, node.path(path))


def dangling_link(node: Node, path: str) -> None:
    os.symlink("/var/lib/new", node.path(path))


def fifo(node: Node, path: str) -> None:
    os.mkfifo(node.path(path))


def directory(node: Node, path: str) -> None:
    os.mkdir(node.path(path))


def unix_socket(node: Node, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.open(node.path(os.path.dirname(path)), os.O_PATH)
        sock.bind(f"/proc/self/fd/{here}/{os.path.basename(path)}")
        os.close(here)


def endless_device(node: Node, path: str) -> None:
    os.mknod(node.path(path), 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero


Plant = Callable[[Node, str], None]
every_kind = pytest.mark.parametrize(
    "plant", [link, dangling_link, fifo, directory, unix_socket, endless_device]
)


def calls(node: Node, pod: str, config: Document = _CONFIG) -> list[Outcome]:
    """Make an ADD, a DEL and a GC; none takes long, none changes what is not the plugin's."""
    node.write(_PRECIOUS, "precious")
    before = node.state()["links"]
    outcomes = []
    for command in ("ADD", "DEL", "GC"):
        begin = time.monotonic()
        outcomes.append(node.sriov(command, config, netns=pod))
        assert time.monotonic() - begin < _PATIENCE
    assert [outcome.code for outcome in outcomes if outcome.code not in (0, 103, 104)] == []
    assert node.read(_PRECIOUS) == "precious"
    assert not os.path.lexists(node.path("/var/lib/new"))
    assert node.state()["links"] == before
    return outcomes


@every_kind
def test_what_lies_where_records_and_leases_are_is_nobodys(
    node: Node, pod: str, plant: Plant
) -> None:
    for place, names in _PLANTED.items():
        os.makedirs(node.path(place), 0o700)
        for name in names:
            plant(node, f"{place}/{name}")
    added, deleted, _ = calls(node, pod)
    refused = plant is directory  # in the way of the record
    assert (added.code, deleted.code) == (104 if refused else 0, 0)


@every_kind
def test_what_lies_where_files_are_begun_is_replaced(node: Node, pod: str, plant: Plant) -> None:
    for place, names in _PLANTED.items():
        os.makedirs(node.path(place), 0o700)
        for name in names:
            plant(node, f"{place}/.new-{name}")
    added, deleted, _ = calls(node, pod)
    assert (added.code, deleted.code) == (104 if plant is directory else 0, 0)


@every_kind
def test_what_lies_where_the_locks_are_is_not_followed(node: Node, pod: str, plant: Plant) -> None:
    os.makedirs(node.path(_STATE), 0o700)
    plant(node, f"{_STATE}/lock")
    calls(node, pod)


@pytest.mark.parametrize("path", [_STATE, "/var/lib/cni/fixipam", _LEASES])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_state_directory_that_is_a_link_is_refused(
    node: Node, pod: str, path: str, slash: str
) -> None:
    os.makedirs(node.path(os.path.dirname(path)), 0o700, exist_ok=True)
    os.makedirs(node.path("/var/lib/elsewhere"))
    os.symlink("/var/lib/elsewhere", node.path(path))
    where = {"dataDir": f"{_STATE}{slash}"}
    ipam = _IPAM | {"dataDir": f"/var/lib/cni/fixipam{slash}"}
    added, *_ = calls(node, pod, _CONFIG | where | {"ipam": ipam})
    assert added.code == 104
    assert os.listdir(node.path("/var/lib/elsewhere")) == []


@every_kind
def test_a_log_file_that_is_none_holds_nobody_up(node: Node, pod: str, plant: Plant) -> None:
    plant(node, "/var/lib/log")
    config = _CONFIG | {"logFile": "/var/lib/log", "vlanQos": 0}  # misspelt: a warning
    added, deleted, _ = calls(node, pod, config)
    assert (added.code, deleted.code) == (0, 0)
    assert "vlanQos" in added.stderr or plant is endless_device


_LONG = "a" * 4096
CLIMBING: dict[str, tuple[dict[str, str], Document, int]] = {
    **{
        f"container ID {name!r:.20}": ({"container": name}, {}, 4)
        for name in ("../x", "a/b", "..", "a\nb", "a,b", "-a", "\udcff", _LONG)
    },
    **{
        f"interface {name!r:.20}": ({"ifname": name}, {}, 4)
        for name in ("../x", "a/b", "..", ".", "a\nb", "a b", "\udcff", _LONG)
    },
    **{
        f"netns {name!r:.20}": ({"netns": name}, {}, 4) for name in (f"/{_LONG}", "/\udcff", "a\nb")
    },
    **{
        f"{key} {value!r:.20}": ({}, {key: value}, 7)
        for key in ("deviceID", "master", "name")
        for value in ("../../x", "..", "a/b", "a\nb", "a\0b", "0000:01:10.0/../x", _LONG)
    },
    **{
        f"IPAM plugin {name!r:.20}": ({"path": "/usr/bin"}, {"ipam": {"type": name}}, 7)
        for name in ("../bin/sh", "..", "a\0b", _LONG)
    },
    "a gateway of the other family": (
        {},
        {"ipam": _IPAM | {"routes": [{"dst": "::/0", "gw": "10.1.0.1"}]}},
        7,
    ),
    "a device on no bus": ({}, {"pfOnly": True, "master": "lo"}, 101),
}


@pytest.fixture(scope="module")
def untouched() -> Iterator[Node]:
    """A node for many refusals; the first call that changes it fails the test."""
    with Node() as node:
        node.add_pf("eth1", vfs=3)
        node.add_pod("pod")
        node.write("/sys/class/net/lo/uevent", "")
        yield node


@pytest.mark.parametrize("case", CLIMBING)
def test_what_climbs_is_refused_and_nothing_is_made(untouched: Node, case: str) -> None:
    attachment, config, code = CLIMBING[case]
    before = untouched.state()
    outcome = untouched.sriov("ADD", _CONFIG | config, **{"netns": "/run/netns/pod", **attachment})
    assert outcome.code == code, outcome
    assert len(outcome.said) < 5000  # a path at its longest
    assert untouched.state() == before
    assert [name for name in untouched.files("/var/lib") if name != "lock"] == []

# SPDX-License-Identifier: Apache-2.0
"""Who has a device, by the records of this plugin and the files of the Go plugin."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sriov_cni.attachment.record import FileName, Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.call import Arguments
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device, Snapshot
from sriov_node.inventory.device import State, Use
from sriov_node.inventory.scan import Inventory
from tests.sysfs import Tree
from tests.unit.executable import REPOSITORY

PF = "0000:3b:00.0"
VF = "0000:3b:02.0"
HOLDER = """
import sys, time
from sriov_cni.attachment.records import AttachmentRecords
print(AttachmentRecords(sys.argv[1], create=False).try_lock(sys.argv[2]), flush=True)
time.sleep(600)
"""


class Node:
    """A node with a PF of two VFs, its records, and a clock that the test sets."""

    def __init__(self, path: Path) -> None:
        self.now = 1000.0
        self.state = path / "state"
        self.tree = Tree(path / "sys")
        self.tree.pf(PF, "ens901f0", vfs=2)
        self.records = AttachmentRecords(str(self.state), create=True)
        self.inventory = Inventory(str(self.state), lambda: self.now)

    def record(self, *, boot: str = "", userspace: bool = False, netns: str = "/none") -> Record:
        """Write the record of an attachment of VF 0."""
        device = Device("ens901f0v0", (), "02:00:00:00:00:01", 1500, up=False, parent=VF)
        record = Record(
            owner=Owner("pod-1", "net1"),
            netns=netns,
            network="storage",
            boot=boot or self.records.boot,
            function=PciFunction("ens901f0", 0, VF),
            before=Snapshot(None if userspace else device, None),
            arguments=Arguments("", {}),
            config={},
        )
        self.records.write(record)
        return record

    def go_claim(self, pod: str) -> None:
        """Write the file by which the Go plugin claims VF 0."""
        (self.state / "pci").mkdir()
        (self.state / "pci" / VF).write_text(pod)

    def use(self) -> Use:
        """Return who has VF 0 now."""
        return self.inventory.scan().devices[VF].use


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    node = Node(tmp_path)
    node.tree.install(monkeypatch)
    return node


def test_a_device_without_a_record_is_free(node: Node) -> None:
    assert node.use() == Use(State.FREE)


def test_a_device_that_is_away_with_a_record_is_attached(node: Node) -> None:
    node.record(netns="/run/netns/pod-1")
    node.tree.take("ens901f0v0")
    assert node.use() == Use(
        State.ATTACHED,
        "belongs to interface net1 of container pod-1 until its DEL",
        "pod-1",
        "net1",
        "storage",
        "/run/netns/pod-1",
    )


def test_a_record_claims_no_other_device(node: Node) -> None:
    node.record()
    assert node.inventory.scan().devices["0000:3b:02.1"].use == Use(State.FREE)


def test_a_claimed_device_on_the_host_returns_and_is_lost_after_30_seconds(node: Node) -> None:
    node.record()
    assert node.use().state is State.RETURNING
    node.now += 29
    assert not node.inventory.light()
    assert node.use().state is State.RETURNING
    node.now += 2
    assert node.inventory.light()
    assert node.use().state is State.LOST
    assert not node.inventory.light()


def test_a_device_that_is_attached_meanwhile_has_30_seconds_again(node: Node) -> None:
    node.record()
    node.use()
    node.now += 20
    node.tree.take("ens901f0v0")
    assert node.use().state is State.ATTACHED
    node.now += 20
    node.tree.netdev(VF, "ens901f0v0")
    assert node.use().state is State.RETURNING


def test_a_device_whose_lock_is_held_is_not_lost(node: Node) -> None:
    node.record()
    node.use()
    node.now += 31
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(node.state), VF],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert node.use().state is State.RETURNING
        holder.kill()
    assert node.use().state is State.LOST


def test_looking_takes_no_lock(node: Node) -> None:
    node.record()
    node.use()
    node.now += 31
    assert node.use().state is State.LOST
    program = HOLDER.replace("time.sleep(600)", "")
    command = [sys.executable, "-c", program, str(node.state), VF]
    said = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert said.stdout == "True\n"


def test_a_released_device_is_free(node: Node) -> None:
    record = node.record()
    node.use()
    node.records.remove(record)
    assert node.use() == Use(State.FREE)


def test_a_device_of_which_only_addresses_are_left_to_release_is_free(node: Node) -> None:
    node.records.end_claim(node.record())
    assert node.use() == Use(State.FREE)


def test_a_record_of_an_earlier_boot_claims_nothing(node: Node) -> None:
    node.record(boot="another")
    assert node.use() == Use(State.FREE)


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 99, "network": "storage"}', b"\xff"])
def test_a_record_that_cannot_be_read_claims_by_its_name(node: Node, content: bytes) -> None:
    name = FileName.of(node.record())
    (node.state / str(name)).write_bytes(content)
    use = node.use()
    assert (use.state, use.container, use.interface) == (State.RETURNING, "pod-1", "net1")
    assert "a record" in use.reason
    node.now += 60
    assert node.use().state is State.RETURNING  # no ADD restores it
    assert not node.inventory.light()
    node.tree.take("ens901f0v0")
    assert node.use().state is State.ATTACHED


def test_a_record_is_read_again_when_it_was_replaced(node: Node) -> None:
    record = node.record()
    assert node.use().network == "storage"
    node.records.write(record._replace(network="backup"))
    assert node.use().network == "backup"


def test_a_record_that_stays_is_read_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.record()
    node.use()
    monkeypatch.setattr(AttachmentRecords, "read", lambda *_: pytest.fail("read again"))
    assert node.use().state is State.RETURNING


def test_a_device_for_user_space_is_lost_with_its_pods_namespace(node: Node) -> None:
    node.record(userspace=True)
    node.tree.bind(VF, "vfio-pci")
    assert node.use().state is State.RETURNING
    node.now += 31
    assert node.use().state is State.LOST


def test_a_device_that_the_go_plugin_lost_returns(node: Node) -> None:
    node.go_claim("/run/netns/none")
    use = node.use()
    assert use.state is State.RETURNING
    assert (use.reason, use.netns) == (
        "was given to a pod by another SR-IOV plugin",
        "/run/netns/none",
    )


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_of_the_go_plugin_claims_nothing(node: Node, content: str) -> None:
    node.go_claim(content)
    assert node.use() == Use(State.FREE)


def test_what_is_no_record_claims_nothing(node: Node) -> None:
    (node.state / "pci").mkdir()
    (node.state / "pci" / "nonsense").write_text("/run/netns/none")
    for name in ("lock", "inventory", "pod-net1", "x,y,z", f".new-{VF},pod-1,net1"):
        (node.state / name).write_text("{}")
    (node.state / f"{VF},pod-1,net1").mkdir()
    assert node.use() == Use(State.FREE)


def test_where_records_cannot_be_read_the_last_known_count(node: Node) -> None:
    node.record()
    assert node.use().state is State.RETURNING
    node.state.rename(node.state.with_name("elsewhere"))
    node.state.write_text("a file in the directory's place")
    assert node.use().state is State.RETURNING


def test_a_state_directory_that_comes_later_is_read(node: Node) -> None:
    node.record()
    away = node.state.with_name("elsewhere")
    node.state.rename(away)
    assert node.use() == Use(State.FREE)
    if node.state.exists():  # what was seen may be written there already
        node.state.rename(node.state.with_name("young"))
    away.rename(node.state)
    assert node.use().state is State.RETURNING


def test_scans_leave_no_descriptor_open(node: Node) -> None:
    node.record()
    node.go_claim("/run/netns/none")
    node.use()
    gc.collect()  # of what other tests left
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        node.use()
        node.inventory.light()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_pods_device_is_known_after_the_agents_restart(node: Node) -> None:
    node.tree.rdma(VF, "mlx5_4")
    node.inventory.scan()
    node.record()
    node.tree.take("ens901f0v0")
    node.tree.take_rdma("mlx5_4")
    seen = Inventory(str(node.state)).scan().devices[VF]
    assert (seen.driver, seen.link_type, seen.rdma) == ("iavf", "ether", ("mlx5_4",))
    assert seen.use.state is State.ATTACHED
    node.tree.bind(VF, None)  # what the pod does to its device
    assert Inventory(str(node.state)).scan().devices[VF].driver == "iavf"


def test_what_was_seen_is_forgotten_when_a_device_is_for_another_purpose(node: Node) -> None:
    node.tree.rdma(VF, "mlx5_4")
    node.inventory.scan()
    node.tree.take_rdma("mlx5_4")
    node.tree.bind(VF, "vfio-pci")
    assert node.inventory.scan().devices[VF].rdma == ()
    assert VF not in json.loads((node.state / "inventory").read_bytes())["devices"]


def test_what_was_seen_is_written_only_when_it_changes(node: Node) -> None:
    node.inventory.scan()
    inode = (node.state / "inventory").stat().st_ino
    node.inventory.scan()
    Inventory(str(node.state)).scan()
    assert (node.state / "inventory").stat().st_ino == inode


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"boot": "BOOT"}',
        '{"boot": "BOOT", "devices": []}',
        '{"boot": "BOOT", "devices": {"VF": null}}',
        '{"boot": "BOOT", "devices": {"VF": {"driver": 1, "link_type": null, "rdma": []}}}',
        '{"boot": "BOOT", "devices": {"VF": {"driver": null, "link_type": null, "rdma": "x"}}}',
        '{"boot": "BOOT", "devices": {"VF": {"driver": "../x", "link_type": null, "rdma": []}}}',
        '{"boot": "old", "devices": {"VF": {"driver": "x", "link_type": "y", "rdma": ["z"]}}}',
    ],
)
def test_a_file_of_no_use_is_as_none(node: Node, content: str) -> None:
    text = content.replace("BOOT", node.records.boot).replace("VF", VF)
    (node.state / "inventory").write_text(text)
    node.record()
    node.tree.take("ens901f0v0")
    seen = Inventory(str(node.state)).scan().devices[VF]
    assert (seen.driver, seen.link_type, seen.rdma) == ("iavf", "ether", ())


def test_a_node_without_devices_gets_no_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tree(tmp_path / "sys").install(monkeypatch)
    Inventory(str(tmp_path / "state")).scan()
    assert not (tmp_path / "state").exists()


def test_a_directory_that_cannot_be_written_stops_no_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Tree(tmp_path / "sys")
    tree.install(monkeypatch)
    tree.pf(PF, "ens901f0")
    (tmp_path / "state").write_text("a file in the directory's place")
    assert list(Inventory(str(tmp_path / "state")).scan().devices) == [PF]

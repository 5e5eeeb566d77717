# SPDX-License-Identifier: Apache-2.0
"""Claims that depend on whether a pod's network namespace is there."""

import json
import sys
from pathlib import Path

import pytest

from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.call import Arguments
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Snapshot
from tests.plugin import run
from tests.sysfs import Tree, seeing

PF, VF = "0000:3b:00.0", "0000:3b:02.0"
SCAN = """
mount -t tmpfs tmpfs /run
ip netns add pod
exec "$0" -P -c '
import json, sys
from sriov_node.inventory.scan import Inventory
now = [0.0]
inventory = Inventory(sys.argv[1], lambda: now[0])
def state():
    return inventory.scan().devices["0000:3b:02.0"].use.state.value
states = [state()]
now[0] = 31.0
print(json.dumps([*states, state()]))' "$1"
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "sys")
    tree.pf(PF, "eth1", vfs=1)
    return tree


@pytest.fixture
def records(tmp_path: Path) -> AttachmentRecords:
    return AttachmentRecords(str(tmp_path / "state"), create=True)


def states(tree: Tree) -> list[str]:
    """Return the states of VF 0: at first, and half a minute later; /run/netns/pod is there."""
    state = str(tree.root.parent / "state")
    said: list[str] = json.loads(run(*seeing(tree, "sh", "-ec", SCAN, sys.executable, state)))
    return said


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ("/run/netns/pod", ["attached", "attached"]),
        ("/run/netns/none", ["returning", "lost"]),
    ],
)
def test_a_device_for_user_space_is_attached_as_long_as_its_pod_is_there(
    tree: Tree, records: AttachmentRecords, pod: str, expected: list[str]
) -> None:
    tree.bind(VF, "vfio-pci")
    function = PciFunction("eth1", 0, VF)
    nothing = Arguments("", {})
    owner, before = Owner("pod-1", "net1"), Snapshot(None, None)
    records.write(Record(owner, pod, "dpdk", records.boot, function, before, nothing, {}))
    assert states(tree) == expected


@pytest.mark.parametrize(
    ("pod", "where", "expected"),
    [
        ("/run/netns/pod", "away", ["attached", "attached"]),
        ("/run/netns/pod", "for user space", ["attached", "attached"]),
        ("/run/netns/pod", "on the host", ["free", "free"]),
        ("/run/netns/none", "away", ["elsewhere", "elsewhere"]),
        ("/run/netns/none", "for user space", ["returning", "lost"]),
        ("/run/netns/none", "on the host", ["returning", "lost"]),
    ],
)
def test_a_device_that_the_go_plugin_claims(
    tree: Tree, records: AttachmentRecords, pod: str, where: str, expected: list[str]
) -> None:
    claims = tree.root.parent / "state" / "pci"
    claims.mkdir()
    (claims / VF).write_text(pod)
    if where == "away":
        tree.take("eth1v0")
    elif where == "for user space":
        tree.bind(VF, "vfio-pci")
    assert states(tree) == expected

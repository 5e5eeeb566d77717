# SPDX-License-Identifier: Apache-2.0
"""Whatever sysfs says of one device, the scan goes through, and the others are as they were."""

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sriov_cni.kernel import bus
from sriov_node.inventory.device import Device, Snapshot
from sriov_node.inventory.scan import Inventory
from tests.sysfs import Tree

PF, VICTIM, WITNESS = "0000:3b:00.0", "0000:3b:02.0", "0000:3b:02.1"
PART = "mlx5_core.sf.4"
GARBAGE = (
    *(b"", b"\n", b"\0", b"-1", b"x", b"\xff\xfe", b"9" * 400, b"0x", b"4294967296", b"\xd9\xa3"),
    *(b"pci:", b"pci:v00008086d0000188", b"pci:v00008086d00001889", b"../../x", b":" * 4096),
    *(b"pci:v00018086d00001889sv00000000sd00000000bc02sc00i00", b"\n" * 5000),
)
TARGETS = (".", "..", "/", "/dev/null", "nowhere", "../0000:3b:02.1", "x" * 300, "virtfn0")


def built(root: Path) -> Tree:
    """Return a tree with two VFs and a sub-function, of which the first VF has everything."""
    tree = Tree(root)
    tree.pf(PF, "ens901f0", vfs=2)
    tree.rdma(VICTIM, "mlx5_1")
    tree.write(tree.device(VICTIM) / "acpi_index", "1")
    tree.write(tree.device(PF) / "net/ens901f0/phys_port_name", "p0")
    tree.sub_function(PART, PF, 88, "ens901f0s88")
    tree.virtual("bond901", "ens901f0v0", group=True)
    return tree


def entries(root: Path) -> list[str]:
    """Return all files and links of the tree that are not the witness's."""
    found = [
        os.path.relpath(os.path.join(directory, name), root)
        for directory, directories, files in os.walk(root)
        for name in (*directories, *files)
        if os.path.islink(path := os.path.join(directory, name)) or os.path.isfile(path)
    ]
    return sorted(path for path in found if WITNESS not in path and "ens901f0v1" not in path)


@contextmanager
def spoiled(path: Path, how: str | bytes) -> Iterator[None]:
    """Have something else in the place of a file or a link."""
    aside = path.with_name(f".{path.name}")
    path.rename(aside)
    if isinstance(how, bytes):
        path.write_bytes(how)
    elif how == "directory":
        path.mkdir()
    elif how != "gone":
        path.symlink_to(how)
    yield
    if how == "directory":
        path.rmdir()
    elif how != "gone":
        path.unlink()
    aside.rename(path)


HOWS: tuple[str | bytes, ...] = (*GARBAGE, *TARGETS, "directory", "gone")


class Garbage:
    """A tree, what can be spoiled in it, and an inventory that knows it."""

    def __init__(self, path: Path) -> None:
        self.state = str(path / "state")
        self.tree = built(path / "sys")
        self.places = [self.tree.root / entry for entry in entries(self.tree.root)]

    def scans(self) -> Iterator[Snapshot]:
        """Yield what an inventory says that knows the devices, and one that does not."""
        yield self.inventory.scan()
        yield Inventory(self.state).scan()

    def learn(self) -> Snapshot:
        """Have the inventory know the devices."""
        self.inventory = Inventory(self.state)
        return self.inventory.scan()


@pytest.fixture
def garbage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Garbage:
    garbage = Garbage(tmp_path)
    garbage.tree.install(monkeypatch)
    # tried thousands of times: durable it need not be
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return garbage


def own(snapshot: Snapshot) -> Device:
    """Return the witness without what it has from its PF."""
    return snapshot.devices[WITNESS]._replace(
        pf=None, pf_names=(), number=None, link_type=None, carrier=None
    )


def test_each_entry_spoiled_in_each_way_spoils_no_other_device(garbage: Garbage) -> None:
    expected = own(garbage.learn())
    assert len(garbage.places) > 30
    for place in garbage.places:
        for how in HOWS:
            with spoiled(place, how):
                for snapshot in garbage.scans():
                    assert own(snapshot) == expected, (place, how)
        garbage.learn()


def test_many_entries_spoiled_at_once_stop_no_scan(garbage: Garbage) -> None:
    dice = random.Random(17)
    expected = own(garbage.learn())
    for _ in range(300):
        with ExitStack() as stack:
            for place in dice.sample(garbage.places, dice.randint(2, 20)):
                if os.path.lexists(place):  # what leads there may be spoiled already
                    stack.enter_context(spoiled(place, dice.choice(HOWS)))
            for snapshot in garbage.scans():
                assert own(snapshot) == expected


def test_names_that_are_not_text_are_left_out(garbage: Garbage) -> None:
    before = garbage.learn()
    net = os.fsencode(garbage.tree.root / "class/net")
    for number, name in enumerate((b"\xff", b"a\nb", b"\x1b[2J")):
        os.symlink(f"../../devices/pci0000:00/{VICTIM}/net/{number}", net + b"/" + name)
    os.symlink("nowhere", os.fsencode(garbage.tree.root / "bus/pci/devices") + b"/\xff")
    for snapshot in garbage.scans():
        assert snapshot == before


def test_a_device_that_goes_while_it_is_read_is_left_out(
    garbage: Garbage, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = own(garbage.learn())
    listed = bus.pci_devices()
    garbage.tree.remove(VICTIM)
    monkeypatch.setattr(bus, "pci_devices", lambda: listed)
    snapshot = Inventory(garbage.state).scan()
    assert VICTIM not in snapshot.devices
    assert own(snapshot) == expected

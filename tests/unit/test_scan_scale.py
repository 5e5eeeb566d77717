# SPDX-License-Identifier: Apache-2.0
"""What a scan costs, counted in accesses to files: the same for each VF, however many there are."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sriov_node.inventory.scan import Inventory
from tests.sysfs import Tree

LOOKS = ("open", "readlink", "listdir", "scandir")


class Counter:
    """Counts the calls of those functions of `os` by which a scan looks at files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name in LOOKS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, function: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            self.count += 1
            return function(*arguments, **named)

        return counted


def costs(path: Path, monkeypatch: pytest.MonkeyPatch, pfs: int, vfs: int) -> tuple[int, int, int]:
    """Return what the first scan costs, the next one, and a light pass."""
    tree = Tree(path / "sys")
    tree.install(monkeypatch)
    for number in range(pfs):
        tree.pf(f"0000:{16 + number:02x}:00.0", f"ens90{number}f0", vfs=vfs, total=256)
    inventory = Inventory(str(path / "state"))
    counts = []
    for step in (inventory.scan, inventory.scan, inventory.light):
        with monkeypatch.context() as patched:
            counter = Counter(patched)
            step()
            counts.append(counter.count)
    first, second, light = counts
    return first, second, light


def test_what_a_scan_costs_grows_with_the_number_of_vfs_and_not_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = costs(tmp_path / "few", monkeypatch, pfs=4, vfs=25)
    many = costs(tmp_path / "many", monkeypatch, pfs=4, vfs=125)
    per_vf = [(m - f) / 400 for f, m in zip(few, many, strict=True)]
    assert per_vf == [8, 2, 0]


def test_a_thousand_vfs_are_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, light = costs(tmp_path, monkeypatch, pfs=8, vfs=125)
    assert first < 8300
    assert second < 2300
    assert light < 100

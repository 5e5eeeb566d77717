# SPDX-License-Identifier: Apache-2.0
"""Whether the node is as its files want it: what the agent's log and metric tell of it."""

import asyncio
import json
import logging
import os
from pathlib import Path

import pytest

from sriov_node import drift
from sriov_node.drift import Drift
from sriov_node.inventory.scan import Inventory
from sriov_node.kubelet.holder import Holder
from sriov_node.preparation import marker
from tests.sysfs import Tree

PF, VF = "0000:3b:00.0", "0000:3b:02.1"


class Node:
    """A card with two VFs, and the node's file."""

    def __init__(self, directory: Path) -> None:
        self.tree = Tree(directory / "sys")
        self.tree.pf(PF, "ens901f0", vfs=2)
        self.file = directory / "node.json"
        self.inventory = Inventory(str(directory / "state"))
        self.pokes = 0
        self.preparing = directory / "preparing"
        self.drift = Drift(str(directory), str(self.preparing), (), self.poke)

    def poke(self) -> None:
        self.pokes += 1

    def want(self, **keys: object) -> None:
        entry = {"match": {"address": PF}, **keys}
        self.file.write_text(json.dumps({"functions": [entry]}))
        self.drift.read()

    def look(self, holder: Holder | None = None) -> bool | None:
        self.drift.look(self.inventory.scan(), {VF: holder} if holder is not None else {})
        return self.drift.reached


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    node = Node(tmp_path)
    node.tree.install(monkeypatch)
    return node


def test_a_node_whose_files_want_nothing_is_neither_as_wanted_nor_not(node: Node) -> None:
    node.drift.read()
    assert node.look() is None


def test_a_node_is_as_wanted_and_the_log_tells_when_it_is_not_any_more(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node.want(vfs=2)
    assert node.look() is True
    node.tree.set_numvfs(PF, 1)
    for _ in range(2):  # told once
        assert node.look() is False
    assert [record.getMessage() for record in caplog.records] == [
        f"the node is not as its files want it: {PF} set VFs 0; {PF} set VFs 2",
    ]


def test_a_fault_in_the_files_is_told_and_the_node_is_not_as_wanted(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.want(vfs=-1)
    assert node.look() is False
    assert "vfs is -1, it must be a whole number" in caplog.text


def test_a_card_that_others_prepare_is_asked_for_nothing_that_may_hang(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drift, "_PAUSE", 0.01)
    override = node.tree.device(VF) / "driver_override"
    override.unlink(missing_ok=True)
    os.mkfifo(override)  # whoever reads it waits, as for the device's lock

    async def story() -> None:
        node.want(vfs=4)
        with marker.holding(str(node.preparing), PF):
            assert node.look() is False

    asyncio.run(story())
    assert caplog.messages == [
        f"the node is not as its files want it: {PF} cannot be prepared: it is being prepared by "
        "another process"
    ]


def test_while_a_pod_is_in_the_way_the_node_is_looked_at_again(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drift, "_PAUSE", 0.01)

    async def story() -> None:
        node.want(vfs=4)
        assert node.look(Holder("default", "web", "main", "a/b")) is False
        assert node.pokes == 0
        await asyncio.sleep(0.1)
        assert node.pokes == 1

    asyncio.run(story())
    assert f"{VF} cannot go: it has 2 VFs, not 4" in caplog.text
    assert "it was given to container main of pod default/web" in caplog.text

# SPDX-License-Identifier: Apache-2.0
"""On real cards: a VF that a program has open by vfio stays; VFs come at the computed addresses."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriov_cni.kernel import functions
from tests import card
from tests.lab.runtime import SRIOVCTL
from tests.plugin import run
from tests.prepared import VFIO, State, Tool, drivers

PF = card.PFS[0]


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    """The tool; afterwards the card has seven VFs again."""
    run("modprobe", VFIO)
    yield Tool(SRIOVCTL, tmp_path)
    card.enable_vfs(PF, 0)
    card.enable_vfs(PF, card.VFS)


def test_a_vf_that_a_program_has_open_is_neither_taken_nor_bound_anew(tool: Tool) -> None:
    tool.want(State(7, (3,)).wanted(PF))
    assert tool.node("apply").status == 0
    address = card.vf_address(PF, 3)
    group = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{address}/iommu_group"))
    tool.want(State(7).wanted(PF))
    with open(f"/dev/vfio/{group}", "r+b", buffering=0):
        refused = tool.node("apply")
        assert refused.status == 11
        assert refused.in_use[address].startswith(f"is open in process {os.getpid()} (")
        tool.want(State(3).wanted(PF))
        assert tool.node("apply").status == 11
        assert drivers(PF) == State(7, (3,)).drivers()
    assert tool.node("apply").status == 0
    assert drivers(PF) == State(3).drivers()


def test_vfs_come_at_the_addresses_that_are_computed_for_them() -> None:
    possible = functions.possible_vfs(card.pci_address(PF))
    for count in (1, card.VFS):
        card.enable_vfs(PF, 0)
        card.enable_vfs(PF, count)
        assert [card.vf_address(PF, n) for n in range(count)] == possible[:count]

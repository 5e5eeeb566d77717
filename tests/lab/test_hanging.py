# SPDX-License-Identifier: Apache-2.0
"""A driver that hangs: the write that waits for it cannot be killed, and holds nobody else up.

Really: a program opens a VF by vfio after preparation has asked who uses it, and before the VF is
taken back. The kernel then waits for the program (vfio_unregister_group_dev() in
drivers/vfio/vfio_main.c). It has the lock of all PCI hot-plugging meanwhile, so no card can have
other VFs then (pci_lock_rescan_remove() in drivers/pci/iov.c, in Debian's kernels since 2025); but
all else that preparation does.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sriov_node.preparation import marker
from sriov_node.preparation.apply import PATIENCE
from tests import card, vfio
from tests.lab.runtime import SRIOVCTL
from tests.networks import DEVICE
from tests.plugin import Plugin, run, wait_for
from tests.prepared import State, Tool, drivers

HANGS, OTHER = card.PFS[:2]


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    """The tool; afterwards both cards have seven VFs again."""
    run("modprobe", "vfio-pci")
    yield Tool(SRIOVCTL, tmp_path)
    run("ip", "link", "set", OTHER, "mtu", "1500")
    for pf in (HANGS, OTHER):
        card.enable_vfs(pf, 0)
        card.enable_vfs(pf, card.VFS)


def _start(tool: Tool, trace: Path, output: Path) -> "subprocess.Popen[bytes]":
    """Apply; the write that takes the VFs back comes five seconds late."""
    count = f"/sys/bus/pci/devices/{card.pci_address(HANGS)}/sriov_numvfs"
    # -D: what is started is sriovctl, which ends before strace does; so output is to a file
    strace = ("strace", "-D", "-f", "--seccomp-bpf", "-o", str(trace), "-P", count)
    late = ("-e", "trace=write", "-e", "inject=write:delay_enter=5s")
    command = [*strace, *late, *tool.command("node", "apply", "-o", "json")]
    with output.open("wb") as file:
        return subprocess.Popen(command, stdout=file)


@pytest.mark.once  # it takes minutes: with other kernels in `make torture`
def test_a_driver_that_hangs_holds_up_neither_other_cards_nor_pods_nor_the_tool(
    tool: Tool,
    sriov: Plugin,
    pods: Callable[[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pod = pods("pod")
    address = card.pci_address(HANGS)
    tool.want(State(3, (1,)).wanted(HANGS))
    assert tool.node("apply").status == 0
    open_vf, other_vf = card.vf_address(HANGS, 1), card.vf_address(HANGS, 0)
    tool.want(State(7).wanted(HANGS), State(7, (2,)).wanted(OTHER, mtu=1400))
    trace, output = tmp_path / "trace", tmp_path / "output"
    applying = _start(tool, trace, output)
    wait_for(lambda: trace.exists() and "write(" in trace.read_text(), 60)
    with vfio.using(open_vf):
        assert applying.wait(PATIENCE + 60) == 1
        document = json.loads(output.read_text())
        (problem,) = document["problems"]
        assert f"{address}: set VFs 0: the kernel does not return for 127 s" in problem
        assert {step["pf"] for step in document["taken"]} == {card.pci_address(OTHER)}
        assert drivers(OTHER) == State(7, (2,)).drivers()
        with capsys.disabled():  # the lab ends a guest that is silent for long
            print(".", end="", flush=True)
        planned = tool.node("plan")
        assert planned.in_use == {address: "is being prepared by another process"}
        for command in (("pfs",), ("vfs",), ("doctor",), ("explain", open_vf)):
            done = subprocess.run(tool.command(*command), capture_output=True, timeout=60)
            assert done.stdout, (command, done)
        free = DEVICE | {"deviceID": card.vf_address(OTHER, 0)}
        assert sriov("ADD", free, netns=pod).status == 0
        assert sriov("DEL", free, netns=pod).status == 0
        refused = sriov("ADD", DEVICE | {"deviceID": other_vf}, netns=pod)
        assert refused.status == 1, refused
    wait_for(lambda: address not in marker.held(), 60)
    assert tool.node("apply").status == 0
    assert drivers(HANGS) == State(7).drivers()
    again = tool.node("apply")
    assert (again.status, again.taken) == (0, [])

# SPDX-License-Identifier: Apache-2.0
"""Node preparation killed anywhere: no VF in use is lost, and the next one goes on to the end.

A trial kills `sriovctl node apply` on entry to one system call that changes something: a write to
sysfs, a lock, the file that tells of the preparation, a request to a network device. A pod has a VF
of another PF all the time, of which the file wants something else.

The guest is slow, so a kernel has every fourth of the distinct steps: the two of `make test-lab`
have half of them. With TORTURE=all (`make torture`) each has every call.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path

import pytest

from tests import card
from tests.lab.runtime import SRIOVCTL
from tests.networks import DEVICE
from tests.plugin import Plugin, run, wait_for
from tests.points import (
    EVERYTHING,
    FEWER_STOPS,
    Point,
    holding,
    is_held,
    kill,
    process_of,
    recorded,
    recording,
    step,
)
from tests.prepared import State, Tool, autoprobe, drivers

FROM, TO = State(3), State(7, (0, 3))
KILLED, HELD = card.PFS[:2]
_PATIENCE = 90.0  # seconds
_PLACES = ("/sys/", "/run/sriov", "/var/lib/cni", "RTM_NEWLINK")
# Opening a file changes nothing yet, and how many are opened depends on how many processes run.
_UNSTABLE = ("openat", "open", "socket", "bind", "connect", "setsockopt")


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    """The tool; afterwards all cards are as they were."""
    run("modprobe", "vfio-pci")
    yield Tool(SRIOVCTL, tmp_path)
    for pf in (KILLED, HELD):
        card.enable_vfs(pf, 0)
        run("ip", "link", "set", pf, "mtu", "1500")
        card.enable_vfs(pf, card.VFS)


class Trials:
    """Applications to one PF, killed at points of a recorded one."""

    def __init__(self, tool: Tool, log: str) -> None:
        self._tool = tool
        self._log = log

    def renew(self) -> None:
        """Take the PF back to where each trial begins."""
        shutil.rmtree("/run/sriov", ignore_errors=True)
        card.enable_vfs(KILLED, 0)
        run("ip", "link", "set", KILLED, "mtu", "1500")
        card.enable_vfs(KILLED, FROM.vfs)
        run("ip", "link", "set", KILLED, "down")

    def points(self) -> list[Point]:
        """Return the points at which an application changes something."""
        self.renew()
        self._start(*recording(looking=False)).wait(_PATIENCE)
        found = recorded("apply", self._trace(), os.path.dirname(SRIOVCTL), begin="")
        self._forget_traces()
        return [
            point
            for point in found
            if point.changes
            and point.syscall not in _UNSTABLE
            and any(place in point.step for place in _PLACES)
        ]

    def kill(self, point: Point) -> bool:
        """Kill an application at a point; tell whether it got there."""
        # Whatever another process of it does so many times is held, too.
        process = self._start(*holding(point, seconds=5))
        wait_for(lambda: is_held(point, self._trace()) or process.poll() is not None, _PATIENCE)
        last = self._trace().rpartition("\n")[2]
        kill(process, self._log)
        process.wait(_PATIENCE)
        self._forget_traces()
        return step(f"{last}) = ?") == point.step

    def _start(self, *tampering: str) -> "subprocess.Popen[bytes]":
        command = self._tool.command("node", "apply")
        strace = ("strace", "-o", self._log, *FEWER_STOPS, *tampering, *command)
        nothing = subprocess.DEVNULL
        return subprocess.Popen(strace, stdin=nothing, stdout=nothing, stderr=nothing)

    def _trace(self) -> str:
        """Return what the process does that prepares the first PF: the second process of all."""
        logs = sorted(glob(f"{self._log}.*"), key=process_of)
        return Path(logs[1]).read_text(errors="replace") if len(logs) > 1 else ""

    def _forget_traces(self) -> None:
        for log in glob(f"{self._log}.*"):
            os.remove(log)


def _chosen(points: list[Point]) -> list[Point]:
    if EVERYTHING:
        return points
    distinct: dict[str, Point] = {}
    for point in points:
        distinct.setdefault(re.sub(r"\d+", "N", f"{point.syscall} {point.step}"), point)
    ours = 0 if os.uname().release.startswith("6.1.") else 2
    return list(distinct.values())[ours::4]


def test_a_killed_preparation_is_gone_on_with_and_nobodys_vf_is_lost(
    tool: Tool,
    sriov: Plugin,
    pods: Callable[[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pod = pods("pod")
    config = DEVICE | {"deviceID": card.vf_address(HELD, 2)}
    assert sriov("ADD", config, netns=pod).status == 0
    tool.want(TO.wanted(KILLED, mtu=1400), State(3).wanted(HELD))
    trials = Trials(tool, str(tmp_path / "trace"))
    points = trials.points()
    chosen = _chosen(points)
    problems = []
    for point in chosen:
        trials.renew()
        there = trials.kill(point)
        following = tool.node("apply")
        again = tool.node("apply")
        mtu = Path(f"/sys/class/net/{KILLED}/mtu").read_text().strip()
        found = (drivers(KILLED), autoprobe(KILLED), mtu, drivers(HELD))
        expected = (TO.drivers(), "1", "1400", ["igbvf"] * card.VFS)
        if not there:
            problems.append(f"{point}: not tried, it did not get there")
        if (following.status, again.status, again.taken) != (11, 11, []) or found != expected:
            problems.append(f"{point}: {following}, then {again}: {found}")
        if card.pod_link("pod")["ifname"] != "net1":
            problems.append(f"{point}: the pod has lost its VF")
        with capsys.disabled():
            print(".", end="", flush=True)  # the lab ends a guest that is silent for long
    with capsys.disabled():
        print(f"\napply killed at {len(chosen)} of {len(points)} points: {len(problems)} problems")
    assert sriov("DEL", config, netns=pod).status == 0
    assert problems == []
    assert len(points) > 20

# SPDX-License-Identifier: Apache-2.0
"""Real uevents make scans due: of network devices made in a namespace, and lost ones."""

import sys
from pathlib import Path

from tests.plugin import run

WATCH = """
import asyncio, logging, subprocess, sys
from sriov_node.inventory import events

logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")

async def comes(changes, within):
    try:
        await asyncio.wait_for(anext(changes), within)
        return True
    except TimeoutError:
        return False

def sh(script):
    subprocess.run(["sh", "-ec", script], check=True)

async def main():
    async with events.Changes(sys.argv[1], lambda: False) as changes:
        await anext(changes)
        await act(changes)
"""


def watched(tmp_path: Path, act: str) -> list[str]:
    """Return the lines that a program prints which watches in a network namespace of its own."""
    body = "".join(f"    {line}\n" for line in act.strip().splitlines())
    program = f"{WATCH}\nasync def act(changes):\n{body}\nasyncio.run(main())\n"
    mounted = 'mount -t sysfs sysfs /sys; exec "$@"'
    command = ("unshare", "--mount", "--net", "sh", "-ec", mounted, "sh", sys.executable, "-P")
    return run(*command, "-c", program, str(tmp_path)).splitlines()


def test_a_device_that_may_sit_on_others_makes_a_scan_due_and_a_pods_does_not(
    tmp_path: Path,
) -> None:
    act = """
sh("ip link add br0 type bridge")
print(await comes(changes, 5))
sh("ip link delete br0")
print(await comes(changes, 5))
sh("ip link add veth1 type veth peer name veth2")
print(await comes(changes, 0.5))
"""
    assert watched(tmp_path, act) == ["True", "True", "False"]


def test_lost_events_make_a_scan_due_and_later_ones_are_seen(tmp_path: Path) -> None:
    act = """
changes._uevents._monitor.set_receive_buffer_size(1)
sh("for n in $(seq 100); do ip link add b$n type bridge; ip link delete b$n; done")
print(await comes(changes, 5))
sh("ip link add br0 type bridge")
print(await comes(changes, 5))
print(await comes(changes, 0.5))
"""
    said = watched(tmp_path, act)
    assert said[0].startswith("events from the kernel were lost, devices are read anew")
    assert said[1:] == ["True", "True", "False"]


def test_a_burst_of_events_makes_one_scan_due(tmp_path: Path) -> None:
    act = """
sh("for n in $(seq 20); do ip link add b$n type bridge; done")
print(await comes(changes, 5))
print(await comes(changes, 0.5))
"""
    assert watched(tmp_path, act) == ["True", "False"]

# SPDX-License-Identifier: Apache-2.0
"""The agent's unit of systemd, as systemd itself reads it."""

import subprocess

from tests.documents import ROOT

UNIT = ROOT / "deploy" / "systemd" / "sriov-agent.service"
PROGRAM = "/opt/sriov/bin/sriov-agent"


def test_systemd_finds_no_fault_with_the_unit() -> None:
    command = ("systemd-analyze", "verify", "--man=no", str(UNIT))
    done = subprocess.run(command, capture_output=True, text=True)
    faults = [
        line for line in done.stderr.splitlines() if f"{PROGRAM} is not executable" not in line
    ]
    assert faults == []


def test_kubelet_waits_for_the_sockets_and_the_agent_for_no_network() -> None:
    lines = UNIT.read_text().splitlines()
    assert {"Type=notify", "Before=kubelet.service", f"ExecStart={PROGRAM}"} <= set(lines)
    assert not any("network" in line for line in lines if line.startswith(("After=", "Wants=")))

# SPDX-License-Identifier: Apache-2.0
"""The units of systemd, as systemd itself reads them."""

import re
import subprocess

from tests.documents import ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
UNIT = ROOT / "deploy" / "systemd" / "sriov-agent.service"
PROGRAM = "/opt/sriov/bin/sriov-agent"


def test_systemd_finds_no_fault_with_the_units() -> None:
    command = ("systemd-analyze", "verify", "--man=no", *map(str, UNITS))
    done = subprocess.run(command, capture_output=True, text=True)
    installed = re.compile(r"Command /opt/sriov/bin/\S+ is not executable")
    faults = [line for line in done.stderr.splitlines() if not installed.search(line)]
    assert faults == []
    assert len(UNITS) == 2


def test_kubelet_waits_for_the_sockets_and_the_agent_for_no_network() -> None:
    lines = UNIT.read_text().splitlines()
    assert {"Type=notify", "Before=kubelet.service", f"ExecStart={PROGRAM}"} <= set(lines)
    assert not any("network" in line for line in lines if line.startswith(("After=", "Wants=")))

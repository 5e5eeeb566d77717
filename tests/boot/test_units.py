# SPDX-License-Identifier: Apache-2.0
"""A node that boots through the units: one card comes late, and another never does.

units/ has what else is started there, and the stand-in for kubelet.
"""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.plugin import run, wait_for
from tests.prepared import drivers

HOLD, PATIENCE = 20, 60  # seconds: sriov_node/preparation/boot.py


def moment(unit: str, what: str) -> float:
    """Return when something happened to a unit, in seconds since the kernel's start."""
    said = run("systemctl", "show", "--value", "-p", f"{what}TimestampMonotonic", unit)
    return int(said) / 1e6


def test_kubelet_starts_with_the_cards_prepared_that_are_there() -> None:
    assert Path("/proc/1/comm").read_text() == "systemd\n"
    assert Path("/run/kubelet-found").read_text().split() == ["3", "4"]
    assert drivers("eth0") == ["igbvf"] * 3
    assert drivers("eth1") == ["vfio-pci", "igbvf", "igbvf", "igbvf"]


def test_missing_cards_hold_kubelet_up_for_a_bounded_time() -> None:
    began, ready = moment("sriov-node", "ExecMainStart"), moment("sriov-node", "ActiveEnter")
    kubelet = moment("kubelet", "ExecMainStart")
    print(
        f"sriov-node took {ready - began:.1f} s, kubelet started {kubelet - began:.1f} s after it"
    )
    assert HOLD <= ready - began < HOLD + 15
    assert kubelet >= ready


def test_the_agents_sockets_are_there_when_kubelet_starts() -> None:
    assert moment("sriov-agent", "ActiveEnter") <= moment("kubelet", "ExecMainStart")
    assert "sriov-" in Path("/run/kubelet-sockets").read_text()


def test_a_card_that_comes_late_is_prepared_when_it_comes() -> None:
    wait_for(lambda: Path("/run/late-came").exists(), 60)
    card = f"/sys/bus/pci/devices/{Path('/run/late').read_text().strip()}"
    (name,) = os.listdir(f"{card}/net")  # VFs of the others have taken eth2
    wait_for(lambda: drivers(name) == ["igbvf"] * 2, 30)


def test_a_card_that_never_comes_fails_the_unit_and_nothing_else() -> None:
    wait_for(lambda: run("systemctl", "is-failed", "sriov-node", check=False) == "failed\n", 90)
    assert run("systemctl", "is-active", "sriov-agent", "kubelet") == "active\nactive\n"


def test_a_restart_prepares_what_was_changed() -> None:
    file = Path("/etc/sriov/node.json")
    file.write_text(file.read_text().replace("eth9", "eth8").replace('"vfs": 3', '"vfs": 5'))
    began = time.monotonic()
    subprocess.run(["systemctl", "restart", "sriov-node"], check=False)
    print(f"systemctl restart came back after {time.monotonic() - began:.0f} s")
    assert drivers("eth0") == ["igbvf"] * 5


@pytest.mark.parametrize("unit", ["sriov-node", "sriov-agent"])
def test_what_systemd_says_of_a_unit_is_no_complaint(unit: str) -> None:
    said = run("systemctl", "show", "--value", "-p", "LoadError,UnitFileState,NRestarts", unit)
    assert "org.freedesktop" not in said

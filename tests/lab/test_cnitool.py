# SPDX-License-Identifier: Apache-2.0
"""The reference runtime: cnitool runs every command, with the example configuration."""

import os
import subprocess
from collections.abc import Callable

import pytest

from tests.lab import card
from tests.lab.conftest import LAYOUTS
from tests.plugin import MYNET_ARGS

pytestmark = pytest.mark.usefixtures("unchanged")
EXAMPLE = os.path.join(os.path.dirname(__file__), "..", "..", "conf", "10-sriov.conf.example")


def cnitool(directory: str, command: str, netns: str) -> subprocess.CompletedProcess[str]:
    """Run a command of cnitool's on the example's network."""
    os.makedirs(directory, exist_ok=True)
    path = f"{directory}/10-sriov.conf"
    if not os.path.exists(path):
        os.symlink(os.path.realpath(EXAMPLE), path)
    environment = os.environ | {
        "CNI_PATH": LAYOUTS["one-dir"],
        "NETCONFPATH": directory,
        "CNI_IFNAME": "net1",
        "CNI_ARGS": MYNET_ARGS,
    }
    tool = f"{os.environ['SRIOV_CNI_CACHE']}/bin/cnitool"
    return subprocess.run(
        [tool, command, "mynet", netns], env=environment, capture_output=True, text=True
    )


def test_cnitool_adds_checks_asks_for_status_and_deletes(
    pods: Callable[[str], str], tmp_path: os.PathLike[str]
) -> None:
    pod = pods("pod")
    for command in ("status", "add", "check", "del"):
        done = cnitool(str(tmp_path), command, pod)
        assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"


def test_cnitool_gc_deletes_what_it_knows_and_is_refused_without_a_list(
    pods: Callable[[str], str], tmp_path: os.PathLike[str]
) -> None:
    pod = pods("pod")
    assert cnitool(str(tmp_path), "add", pod).returncode == 0
    done = cnitool(str(tmp_path), "gc", pod)  # hands GC no list, after a DEL for all it has cached
    assert "cni.dev/valid-attachments" in done.stdout + done.stderr
    assert card.files("/var/lib/cni/sriov") == []

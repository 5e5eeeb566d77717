# SPDX-License-Identifier: Apache-2.0
"""The reference runtime: cnitool runs every command, with the example configuration."""

import os
from collections.abc import Callable

import pytest

from tests import card
from tests.lab.runtime import Cnitool
from tests.networks import MYNET_ARGS

pytestmark = pytest.mark.usefixtures("unchanged")
EXAMPLE = os.path.join(os.path.dirname(__file__), "..", "..", "conf", "10-sriov.conf.example")


@pytest.fixture
def example(cnitool: Cnitool) -> Cnitool:
    """The reference runtime with the example's network."""
    os.symlink(os.path.realpath(EXAMPLE), f"{cnitool.directory}/10-sriov.conf")
    return cnitool


def test_cnitool_adds_checks_asks_for_status_and_deletes(
    example: Cnitool, pods: Callable[[str], str]
) -> None:
    pod = pods("pod")
    for command in ("status", "add", "check", "del"):
        done = example(command, "mynet", pod, args=MYNET_ARGS)
        assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"


def test_cnitool_gc_deletes_what_it_knows_and_is_refused_without_a_list(
    example: Cnitool, pods: Callable[[str], str]
) -> None:
    pod = pods("pod")
    assert example("add", "mynet", pod, args=MYNET_ARGS).returncode == 0
    done = example("gc", "mynet", pod)  # hands GC no list, after a DEL for all it has cached
    assert "cni.dev/valid-attachments" in done.stdout + done.stderr
    assert card.files("/var/lib/cni/sriov") == []

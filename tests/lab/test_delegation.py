# SPDX-License-Identifier: Apache-2.0
"""Plugins that the frozen executables execute see the environment they would see without us."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.runtime import LAYOUTS
from tests.plugin import Document, Plugin

pytestmark = pytest.mark.usefixtures("unchanged")
IPAM = """#!/bin/sh
echo "$CNI_COMMAND $CNI_IFNAME ${LD_LIBRARY_PATH-unset}" >> $0.called
[ $CNI_COMMAND != ADD ] || echo '{"cniVersion": "1.1.0", "ips": [{"address": "10.8.0.5/24"}]}'
"""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("original", [None, "/opt/lib"])
def test_the_original_library_path_is_restored(
    layout: str, original: str | None, pods: Callable[[str], str], tmp_path: Path
) -> None:
    plugin = tmp_path / "written"
    plugin.write_text(IPAM, encoding="ascii")
    plugin.chmod(0o755)
    given = () if original is None else ("env", f"LD_LIBRARY_PATH={original}")
    sriov = Plugin(*given, f"{LAYOUTS[layout]}/sriov")
    config: Document = {"cniVersion": "1.1.0", "name": "delegating", "type": "sriov"}
    config |= {"master": "eth0", "ipam": {"type": "written"}}
    pod = pods("pod")
    for command in ("ADD", "DEL"):
        outcome = sriov(command, config, netns=pod, path=os.fspath(tmp_path))
        assert outcome.status == 0, outcome.said
    called = (tmp_path / "written.called").read_text(encoding="ascii").splitlines()
    seen = original or "unset"
    assert called == [f"ADD net1 {seen}", f"DEL net1 {seen}"]

# SPDX-License-Identifier: Apache-2.0
"""Delegated IPAM: what only the frozen executables and a real card can show."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import card
from tests.plugin import Document, Plugin, write_plugin

pytestmark = pytest.mark.usefixtures("unchanged")

L2: Document = {"cniVersion": "1.1.0", "name": "layer2", "type": "sriov", "master": "eth0"}
WRITTEN: Document = L2 | {"ipam": {"type": "written"}}


@pytest.mark.parametrize("original", [{}, {"LD_LIBRARY_PATH": "/original/libraries"}])
def test_a_delegate_runs_in_the_runtimes_environment(
    sriov: Plugin, tmp_path: Path, original: dict[str, str]
) -> None:
    # A frozen executable runs with an LD_LIBRARY_PATH and variables of its own.
    path = write_plugin(tmp_path, "unset PWD OLDPWD; env >environment")
    settings = [f"{key}={value}" for key, value in original.items()]
    assert sriov.within("env", *settings)("STATUS", WRITTEN, path=path).status == 0
    lines = (tmp_path / "environment").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if not line.startswith("CNI_"))
    assert environment == {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"} | original


def test_a_del_repeated_for_ipams_sake_leaves_the_vf_to_its_next_pod(
    sriov: Plugin, pods: Callable[[str], str], tmp_path: Path
) -> None:
    answer = {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.5/24"}]}
    path = write_plugin(tmp_path, f"echo '{json.dumps(answer)}'")
    first = WRITTEN | {"vf": 0, "vlan": 100}
    assert sriov("ADD", first, container="first", netns=pods("first"), path=path).status == 0
    write_plugin(tmp_path, "exit 1")
    assert sriov("DEL", first, container="first", path=path).status == 1
    second = L2 | {"vf": 0, "vlan": 200}
    assert sriov("ADD", second, container="second", netns=pods("second")).status == 0
    write_plugin(tmp_path, "exit 0")
    assert sriov("DEL", first, container="first", path=path).status == 0
    assert card.vlan("eth0", 0) == 200
    assert "UP" in card.pod_link("second")["flags"]
    assert sriov("DEL", second, container="second").status == 0

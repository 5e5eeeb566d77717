# SPDX-License-Identifier: Apache-2.0
"""The self-installing file of the agent; what that of the plugins has, too, is tested there."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.namespaces.installation import ROOT
from tests.plugin import run

BUILT = ROOT / "dist" / "sriov-node.run"
MIB = 1 << 20
PROGRAMS = "sriov-agent and sriovctl"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The agent's directory, which is not there yet."""
    return tmp_path / "opt" / "sriov" / "bin"


def variant(directory: Path, digest: str) -> Path:
    """Make a file of the same bundle with another digest: another release."""
    lines = BUILT.read_bytes().split(b"\n")
    (at,) = (i for i, line in enumerate(lines[:100]) if line.startswith(b"DIGEST="))
    lines[at] = f"DIGEST={digest}".encode()
    file = directory / f"{digest}.run"
    file.write_bytes(b"\n".join(lines))
    return file


def test_the_agent_is_a_link_into_its_bundle_and_starts(place: Path) -> None:
    assert run("sh", str(BUILT), str(place)) == f"installed {PROGRAMS} in {place}\n"
    assert os.readlink(place / "sriov-agent") == "sriov-node/sriov-agent"
    assert run(str(place / "sriov-agent"), "--version").startswith("sriov-agent ")
    assert (place / "sriov-node" / "sriov-agent.service").exists()
    assert run("sh", str(BUILT), str(place)).endswith(f"are installed in {place} already\n")


def test_the_bundle_of_an_agent_that_runs_stays(tmp_path: Path, place: Path) -> None:
    for digest in ("first", "second", "third"):
        run("sh", str(variant(tmp_path, digest)), str(place))
    assert os.readlink(place / "sriov-node") == "sriov-node-third"
    names = {"sriov-agent", "sriovctl", "sriov-node", "sriov-node-second", "sriov-node-third"}
    assert set(os.listdir(place)) == names


def test_a_check_fails_until_it_is_installed_and_after_it_is_removed(place: Path) -> None:
    def check() -> int:
        command = ("sh", str(BUILT), "--check", str(place))
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode

    assert check() == 1
    run("sh", str(BUILT), str(place))
    assert check() == 0
    (place / "other").write_text("not its own")
    assert run("sh", str(BUILT), "--uninstall", str(place)) == f"removed {PROGRAMS} from {place}\n"
    assert check() == 1
    assert os.listdir(place) == ["other"]


def test_it_is_installed_into_opt_sriov_bin_and_knows_nothing_of_plugins() -> None:
    head = BUILT.read_bytes()[:4096].decode()
    assert '\nNAME=sriov-node\nPROGRAMS="sriov-agent sriovctl"\nPLACE=/opt/sriov/bin\n' in head


# What `make build` makes has this machine's libstdc++ within it; nodes get the other one.
@pytest.mark.parametrize(("kind", "most"), [("dist", 18), ("release", 15)])
def test_a_bundle_is_small_and_carries_neither_tls_nor_udev(kind: str, most: int) -> None:
    files = [path for path in (ROOT / kind / "sriov-node").rglob("*") if not path.is_symlink()]
    assert sum(path.stat().st_size for path in files if path.is_file()) <= most * MIB
    names = {path.name for path in files}
    assert not [name for name in names if name.startswith(("libssl", "libcrypto", "libudev"))]
    # Without these, protobuf and multidict fall back to Python code without a word.
    assert [name for name in names if name.startswith("_message.")]
    assert [name for name in names if name.startswith("_multidict.")]

# SPDX-License-Identifier: Apache-2.0
"""The self-installing file, and what an installation of it leaves in a directory."""

import os
import re
from pathlib import Path

from tests.plugin import Plugin, run

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "dist" / "sriov-cni.run"
PROGRAMS = ("sriov", "fixipam")


def digest(file: Path = BUILT) -> str:
    """Return the digest that a self-installing file gives its bundle."""
    found = re.search(rb"^DIGEST=(\w+)$", file.read_bytes(), re.M)
    assert found is not None
    return found[1].decode()


def variant(directory: Path, other: str) -> Path:
    """Make a self-installing file of the same executables with another digest: another release."""
    content = BUILT.read_bytes().replace(
        f"DIGEST={digest()}\n".encode(), f"DIGEST={other}\n".encode()
    )
    file = directory / f"{other}.run"
    file.write_bytes(content)
    return file


def install(directory: Path, file: Path = BUILT) -> str:
    """Install into a directory; return what the installation said."""
    return run("sh", str(file), str(directory))


def bundles(directory: Path) -> set[str]:
    """Return the digests of the bundles in a directory."""
    return {name.removeprefix("sriov-cni-") for name in os.listdir(directory) if "cni-" in name}


def current(directory: Path) -> str:
    """Return the digest of the bundle that the links lead to; both executables start there."""
    for program in PROGRAMS:
        outcome = Plugin(f"{directory}/{program}")("VERSION", {"cniVersion": "1.1.0"})
        assert "1.1.0" in outcome.document["supportedVersions"]
    return os.readlink(directory / "sriov-cni").removeprefix("sriov-cni-")

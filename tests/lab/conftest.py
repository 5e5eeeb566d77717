# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the lab: real PF and VF drivers, the frozen executables, and pods."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests import card
from tests.lab.runtime import BUILT, INSTALLED, Cnitool
from tests.plugin import Plugin, run


@pytest.fixture(scope="session", autouse=True)
def _cards() -> None:
    """Seven VFs on each PF. Nothing here may run on anything but the lab's guest."""
    driver = os.path.realpath("/sys/class/net/eth0/device/driver")
    vendor = "/sys/class/dmi/id/sys_vendor"
    in_guest = os.path.basename(driver) == "igb" and os.path.exists(vendor)
    if not in_guest or "QEMU" not in open(vendor, encoding="ascii").read():  # noqa: SIM115
        pytest.exit("tests/lab runs in the lab's guest: make test-lab", returncode=2)
    run("sh", BUILT, INSTALLED)
    for pf in card.PFS:
        card.enable_vfs(pf, card.VFS)


@pytest.fixture
def sriov() -> Plugin:
    """The executable as it is installed on a node."""
    return Plugin(f"{INSTALLED}/sriov")


@pytest.fixture
def cnitool(tmp_path: os.PathLike[str]) -> Cnitool:
    """The reference runtime, without any network yet."""
    return Cnitool(str(tmp_path))


@pytest.fixture
def pods() -> Iterator[Callable[[str], str]]:
    """Make pods by name; their namespaces are deleted after the test."""
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return card.add_pod(name)

    yield make
    for name in made:
        run("ip", "netns", "delete", name, check=False)


@pytest.fixture
def unchanged() -> Iterator[None]:
    """Assert that after the test the host is as it was before."""
    before = card.state()
    yield
    assert card.state() == before

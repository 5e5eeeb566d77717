# SPDX-License-Identifier: Apache-2.0
"""The image that installs the plugins on a cluster's nodes, its containers killed at any time."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.namespaces.container import Container, first_line, kill
from tests.namespaces.installation import BUILT, PROGRAMS, ROOT, bundles, current, digest, variant
from tests.plugin import run
from tools.image import NAME, installing
from tools.oci import archive

CACHE = Path(os.environ.get("SRIOV_CNI_CACHE") or Path.home() / ".cache" / "sriov-cni")
RELEASED = ROOT / "release" / "sriov-cni.run"
LINKS = {"sriov-cni", *PROGRAMS}
CHECK = ("/bin/sh", "/sriov-cni.run", "--check")
INSTALLED = "installed sriov and fixipam in /opt/cni/bin"
ALREADY = "sriov and fixipam are installed in /opt/cni/bin already"
KILLS = 12

Making = Callable[..., Container]


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """The node's directory of plugins."""
    return tmp_path / "opt" / "cni" / "bin"


@pytest.fixture
def made(tmp_path: Path, plugins: Path) -> Making:
    """What makes containers of the image of a self-installing file, for the same node."""

    def make(file: Path = BUILT, node: Path = Path("/")) -> Container:
        image = installing(str(CACHE / "busybox"), str(file))
        return Container(archive(image, [NAME]), tmp_path / f"root-{file.name}", plugins, node)

    return make


@pytest.fixture
def old_node(tmp_path: Path) -> Path:
    """Directories of a node with Debian 11's C library (2.31) and nothing else but a flock."""
    node = tmp_path / "node"
    run("cp", "-a", str(CACHE / "libc-bullseye"), str(node))
    flock = node / "usr" / "bin" / "flock"
    flock.parent.mkdir(parents=True, exist_ok=True)
    flock.write_text("#!/bin/sh\n")
    flock.chmod(0o755)
    return node


@pytest.fixture
def running() -> Iterator[list["subprocess.Popen[str]"]]:
    """Containers that end with the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        kill(process)


def installed(container: Container) -> str:
    """Run a container until it has installed; return what it said, and kill it."""
    process = container.start("install")
    said = first_line(process)
    kill(process)
    return said


def everything(directory: Path) -> dict[str, tuple[int, ...]]:
    """Return what changes with any writing to a tree, of each file and directory of it."""
    paths = (directory, *directory.rglob("*"))
    stats = {str(path): path.lstat() for path in paths}
    return {path: (s.st_ino, s.st_mtime_ns, s.st_ctime_ns, s.st_size) for path, s in stats.items()}


def test_a_container_installs_both_plugins_and_stays(
    made: Making, plugins: Path, running: list["subprocess.Popen[str]"]
) -> None:
    container = made()
    process = container.start("install")
    running.append(process)
    assert first_line(process) == INSTALLED
    assert set(os.listdir(plugins)) == LINKS | {f"sriov-cni-{digest()}"}
    assert current(plugins) == digest()
    assert container.probe(*CHECK) == (0, "")
    assert process.poll() is None


def test_the_next_container_writes_nothing(made: Making, plugins: Path) -> None:
    container = made()
    assert installed(container) == INSTALLED
    before = everything(plugins)
    assert installed(container) == ALREADY
    assert everything(plugins) == before


def test_a_container_that_ends_leaves_the_plugins(made: Making, plugins: Path) -> None:
    process = made().start("install")
    first_line(process)
    began = time.monotonic()
    (child,) = run("pgrep", "-P", str(process.pid)).split()
    os.kill(int(child), signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert time.monotonic() - began < 5
    assert current(plugins) == digest()


def test_what_somebody_removed_is_noticed_and_installed_again(made: Making, plugins: Path) -> None:
    container = made()
    installed(container)
    for remove in (
        lambda: (plugins / "sriov").unlink(),
        lambda: shutil.rmtree(plugins / f"sriov-cni-{digest()}"),
        lambda: (plugins / "sriov-cni" / "fixipam").write_bytes(b""),
    ):
        remove()
        status, said = container.probe(*CHECK)
        assert status == 1
        assert "are not installed in /opt/cni/bin, or do not start" in said
        installed(container)
        assert container.probe(*CHECK) == (0, "")
        assert current(plugins) == digest()


def test_a_release_replaces_another_which_goes_on_running(
    tmp_path: Path, made: Making, plugins: Path
) -> None:
    installed(made(variant(tmp_path, "old")))
    command = str(plugins / "sriov")
    environment = {"CNI_COMMAND": "VERSION", "PATH": "/bin"}
    pipe = subprocess.PIPE
    calling = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
    assert installed(made(variant(tmp_path, "new"))) == INSTALLED
    assert (current(plugins), bundles(plugins)) == ("new", {"old", "new"})
    said, _ = calling.communicate('{"cniVersion": "1.1.0"}', timeout=10)
    assert "supportedVersions" in said
    assert installed(made(variant(tmp_path, "old"))) == INSTALLED  # the way back
    assert (current(plugins), bundles(plugins)) == ("old", {"old", "new"})


@pytest.mark.parametrize("before", ["nothing", "old"])
def test_killed_at_any_time_it_leaves_the_old_or_the_new(
    tmp_path: Path, made: Making, plugins: Path, before: str
) -> None:
    old, new = made(variant(tmp_path, "old")), made(variant(tmp_path, "new"))
    chance = random.Random(before)
    began = time.monotonic()
    installed(new)
    whole = time.monotonic() - began
    for _ in range(KILLS):
        run("find", str(plugins), "-mindepth", "1", "-delete")
        if before == "old":
            installed(old)
        process = new.start("install")
        time.sleep(chance.uniform(0, whole))
        kill(process)
        if before == "old" or (plugins / "fixipam").is_symlink():  # the last of the links
            assert current(plugins) in {"old", "new"}
        installed(new)
        assert current(plugins) == "new"
        assert not [name for name in os.listdir(plugins) if name.startswith(".")]


def test_uninstalling_removes_the_plugins_and_nothing_else(made: Making, plugins: Path) -> None:
    container = made()
    installed(container)
    (plugins / "bridge").write_text("another plugin")
    for _ in range(2):  # once more, there is nothing to remove
        process = container.start("uninstall")
        assert first_line(process) == "removed sriov and fixipam from /opt/cni/bin"
        kill(process)
        assert os.listdir(plugins) == ["bridge"]


def test_the_executables_are_tried_with_the_c_library_of_the_node(
    made: Making, plugins: Path, old_node: Path
) -> None:
    container = made(BUILT, old_node)
    status, said = container.probe("/entry", "install")
    assert status == 1
    assert "this system's is older" in said or "it needs a library that this system lacks" in said
    assert os.listdir(plugins) == []
    assert installed(made(RELEASED, old_node)) == INSTALLED
    assert current(plugins) == digest(RELEASED)


@pytest.mark.parametrize("old", [False, True])
def test_the_agent_starts_with_the_libraries_of_the_node(
    tmp_path: Path, plugins: Path, old_node: Path, old: bool
) -> None:
    agent = str(ROOT / "release" / "sriov-node")
    image = installing(str(CACHE / "busybox"), str(RELEASED), agent=agent)
    node = old_node if old else Path("/")
    container = Container(archive(image, [NAME]), tmp_path / "root", plugins, node)
    status, said = container.probe("/sriov-node/sriov-agent", "--version")
    assert (status, said.split(" ")[0]) == (0, "sriov-agent"), said


def test_a_container_says_what_it_can_do(made: Making) -> None:
    status, said = made().probe("/entry", "other")
    assert status == 2
    assert [line.split("  ")[0] for line in said.splitlines()] == [
        "entry install",
        "entry uninstall",
    ]

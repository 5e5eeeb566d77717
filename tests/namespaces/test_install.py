# SPDX-License-Identifier: Apache-2.0
"""The self-installing file: at any time a node has the old executables or the new, complete."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.namespaces.installation import (
    BUILT,
    PROGRAMS,
    ROOT,
    bundles,
    current,
    digest,
    install,
    variant,
)
from tests.plugin import run

LINKS = {"sriov-cni", *PROGRAMS}
# Each of these changes something, or comes before something that does.
KILLERS = ("flock", "mkdir", "tail", "gzip", "tar", "sync", "readlink", "mv", "ln", "rm")


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A directory of plugins, which is not there yet."""
    return tmp_path / "opt" / "cni" / "bin"


@pytest.fixture
def noexec(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system that executes nothing."""
    directory = tmp_path / "noexec"
    directory.mkdir()
    run("mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(directory))
    yield directory
    run("umount", str(directory))


def refused(directory: Path, file: Path = BUILT) -> str:
    """Return the words with which an installation is refused."""
    done = subprocess.run(["sh", file, directory], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_both_plugins_are_links_into_one_bundle(plugins: Path) -> None:
    assert install(plugins) == f"installed sriov and fixipam in {plugins}\n"
    assert set(os.listdir(plugins)) == LINKS | {f"sriov-cni-{digest()}"}
    assert current(plugins) == digest()


def test_make_installs_and_uninstalls_the_same_way(tmp_path: Path, plugins: Path) -> None:
    make = ("make", "--silent", f"--directory={ROOT}", "-o", "dist/.complete")
    run(*make, "install", f"DESTDIR={tmp_path}")
    assert current(plugins) == digest()
    run(*make, "uninstall", f"DESTDIR={tmp_path}")
    assert os.listdir(plugins) == []


def test_busybox_is_all_it_needs(tmp_path: Path, plugins: Path) -> None:
    cache = os.environ.get("SRIOV_CNI_CACHE") or Path.home() / ".cache" / "sriov-cni"
    tools = tmp_path / "tools"
    tools.mkdir()
    for applet in run(f"{cache}/busybox", "--list").split():
        (tools / applet).symlink_to(f"{cache}/busybox")
    if not (tools / "flock").exists():  # Debian's busybox is built without, Alpine's is not
        (tools / "flock").symlink_to("/usr/bin/flock")
    run("env", "-i", f"PATH={tools}", f"{tools}/sh", str(BUILT), str(plugins))
    assert current(plugins) == digest()


def test_the_bundle_before_stays_and_older_ones_go(tmp_path: Path, plugins: Path) -> None:
    for release in ("first", "second", "third"):
        install(plugins, variant(tmp_path, release))
    assert current(plugins) == "third"
    assert bundles(plugins) == {"second", "third"}


def test_installing_once_more_keeps_the_bundle_before(tmp_path: Path, plugins: Path) -> None:
    first, second = variant(tmp_path, "first"), variant(tmp_path, "second")
    for file in (first, second, second):
        install(plugins, file)
    assert current(plugins) == "second"
    assert bundles(plugins) == {"first", "second"}


def test_a_bundle_that_a_power_failure_left_empty_is_replaced(plugins: Path) -> None:
    install(plugins)
    for path in (plugins / f"sriov-cni-{digest()}").rglob("libpython*"):
        path.write_bytes(b"")
    install(plugins)
    assert current(plugins) == digest()
    assert set(os.listdir(plugins)) == LINKS | {f"sriov-cni-{digest()}"}


def test_the_established_plugin_is_replaced(plugins: Path) -> None:
    plugins.mkdir(parents=True)
    (plugins / "sriov").write_text("the Go plugin")
    install(plugins)
    assert current(plugins) == digest()


def test_where_nothing_executes_nothing_is_installed(noexec: Path) -> None:
    (noexec / "sriov").write_text("the Go plugin")
    said = refused(noexec)
    assert "nothing is installed" in said
    assert f"is {noexec} on a file system mounted noexec?" in said
    assert os.listdir(noexec) == ["sriov"]


def test_what_does_not_start_replaces_nothing(tmp_path: Path, plugins: Path) -> None:
    install(plugins)
    broken = tmp_path / "broken"
    shutil.copytree(ROOT / "dist" / "sriov-cni", broken)
    (broken / "fixipam").write_text("#!/bin/sh\necho something else\n")
    run("tar", "-czf", f"{tmp_path}/archive", "-C", str(broken), ".")
    script = (ROOT / "tools" / "install").read_bytes()
    line = script.count(b"\n") + 1
    script = script.replace(b"DIGEST=\n", b"DIGEST=broken\n", 1)
    script = script.replace(b"ARCHIVE=\n", b"ARCHIVE=%d\n" % line, 1)
    file = tmp_path / "broken.run"
    file.write_bytes(script + (tmp_path / "archive").read_bytes())
    said = refused(plugins, file)
    assert f"{plugins}/sriov-cni-broken/fixipam does not start here" in said
    assert said.endswith("\nsomething else\n")
    assert current(plugins) == digest()
    assert set(os.listdir(plugins)) == LINKS | {f"sriov-cni-{digest()}"}


@pytest.mark.parametrize("half", [0.3, 0.99])
def test_a_file_that_was_copied_in_part_installs_nothing(
    tmp_path: Path, plugins: Path, half: float
) -> None:
    content = BUILT.read_bytes()
    cut = tmp_path / "cut.run"
    cut.write_bytes(content[: int(len(content) * half)])
    assert "is damaged" in refused(plugins, cut)
    assert os.listdir(plugins) == []


def test_uninstalling_leaves_what_is_not_its_own(plugins: Path) -> None:
    install(plugins)
    (plugins / "bridge").write_text("another plugin")
    (plugins / "sriov").unlink()
    (plugins / "sriov").write_text("the Go plugin")
    run("sh", str(BUILT), "--uninstall", str(plugins))
    assert set(os.listdir(plugins)) == {"bridge", "sriov"}


def test_installations_at_once_wait_for_one_another(tmp_path: Path, plugins: Path) -> None:
    install(plugins, variant(tmp_path, "before"))
    files = [variant(tmp_path, release) for release in ("first", "second", "third")]
    commands = [["sh", str(file), str(plugins)] for file in files * 2]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    assert [process.wait() for process in running] == [0] * len(running)
    assert current(plugins) in bundles(plugins) - {"before"}
    assert len(bundles(plugins)) == 2
    assert set(os.listdir(plugins)) == LINKS | {f"sriov-cni-{name}" for name in bundles(plugins)}


def test_killed_anywhere_it_leaves_the_old_or_the_new_and_no_rest(
    tmp_path: Path, plugins: Path
) -> None:
    """The n-th program that an installation executes kills it, and all it has started."""
    tools = tmp_path / "tools"
    tools.mkdir()
    counter = tmp_path / "counter"
    for name in KILLERS:
        program = tools / name
        program.write_text(
            f"#!/bin/sh\necho {name} >>{counter}\n"
            f'[ "$(grep -c "" {counter})" -ne "$AT" ] || kill -9 0\n'
            f'exec {shutil.which(name)} "$@"\n'
        )
        program.chmod(0o755)
    old, new = variant(tmp_path, "old"), variant(tmp_path, "new")
    environment = {"PATH": f"{tools}:/usr/bin:/bin"}
    found = []
    for at in range(1, 100):
        shutil.rmtree(plugins, ignore_errors=True)
        install(plugins, old)
        counter.write_text("")
        command = ["sh", str(new), str(plugins)]
        own = environment | {"AT": str(at)}
        subprocess.run(command, env=own, start_new_session=True, capture_output=True)
        found.append(current(plugins))
        if len(counter.read_text().split()) < at:
            break
        install(plugins, new)
        assert current(plugins) == "new"
        assert set(os.listdir(plugins)) == LINKS | {"sriov-cni-old", "sriov-cni-new"}
    assert found.count("old") > 8
    assert found.count("new") > 3


def test_installing_the_same_once_more_writes_nothing(plugins: Path) -> None:
    install(plugins)
    before = [path.lstat().st_ctime_ns for path in (plugins, *plugins.rglob("*"))]
    assert install(plugins) == f"sriov and fixipam are installed in {plugins} already\n"
    assert [path.lstat().st_ctime_ns for path in (plugins, *plugins.rglob("*"))] == before


def test_a_check_tells_whether_this_file_is_installed(tmp_path: Path, plugins: Path) -> None:
    check = ("--check", str(plugins))
    assert subprocess.run(["sh", BUILT, *check], capture_output=True).returncode == 1
    assert not plugins.exists()
    install(plugins)
    run("sh", str(BUILT), *check)
    other = subprocess.run(["sh", variant(tmp_path, "new"), *check], capture_output=True, text=True)
    assert other.returncode == 1
    assert f"are not installed in {plugins}, or do not start" in other.stderr

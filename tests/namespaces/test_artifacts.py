# SPDX-License-Identifier: Apache-2.0
"""What is released beside the two files that install themselves: Debian package, bill of materials.

The package is installed in a root directory of its own: this machine's, below a file system in
memory that has what is written.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from PyInstaller.archive.readers import CArchiveReader, ZlibArchiveReader

from tests.namespaces.installation import ROOT
from tests.plugin import Plugin
from tools.sbom import BUNDLES, LIBRARIES

RELEASE = ROOT / "release"
PACKAGE = RELEASE / "sriov-cni_amd64.deb"
BILL = RELEASE / "sbom.json"
PLACES = ("etc", "lib/systemd", "opt", "usr", "var/lib/cni")
IN_ANOTHER_ROOT = """
mount -t tmpfs tmpfs "$0"
mkdir "$0/upper" "$0/work" "$0/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/root"
for place in dev proc; do mount --rbind /$place "$0/root/$place"; done
echo ready
exec sleep infinity
"""


class Machine:
    """A machine on which packages may be installed; a context manager."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        command = ["unshare", "--mount", "sh", "-ec", IN_ANOTHER_ROOT, str(directory)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Machine":
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self.entering = ("nsenter", "-t", str(self._process.pid), "-m", "chroot", str(self.root))
        shutil.copy(PACKAGE, self.path("/tmp/sriov-cni.deb"))
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()

    def path(self, path: str) -> Path:
        """Return where the test finds a file of the machine."""
        return Path(f"/proc/{self._process.pid}/root{self.root}{path}")

    def run(self, *command: str) -> str:
        """Run a command there; fail the test where it fails."""
        ended = subprocess.run([*self.entering, *command], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def dpkg(self, *words: str) -> None:
        self.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *words)

    def files(self) -> set[str]:
        """Return all that is installed, and what is beside it."""
        found = self.run("find", *(f"/{place}" for place in PLACES), "-xdev", "-printf", "%p\\n")
        return {path for path in found.splitlines() if "__pycache__" not in path}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Machine(tmp_path) as machine:
        machine.run("mkdir", "-p", "/var/lib/cni/sriov", "/opt/cni/bin")
        yield machine


def test_lintian_finds_nothing() -> None:
    said = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "warning", str(PACKAGE)],
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stdout) == (0, ""), said.stdout


def test_the_package_has_plugins_agent_tool_and_units(machine: Machine) -> None:
    machine.dpkg("--install", "/tmp/sriov-cni.deb")
    for directory in ("/opt/cni/bin", "/usr/lib/cni"):
        for name in ("sriov", "fixipam"):
            plugin = Plugin(*machine.entering, f"{directory}/{name}")
            assert (
                "1.1.0" in plugin("VERSION", {"cniVersion": "1.1.0"}).document["supportedVersions"]
            )
    assert machine.run("sriov-agent", "--version").startswith("sriov-agent ")
    assert machine.run("sriovctl", "--version").startswith("sriovctl, version ")
    units = [f"/lib/systemd/system/sriov-{name}.service" for name in ("agent", "node")]
    machine.run("systemd-analyze", "verify", *units)
    assert "/usr/sbin/sriov-agent" in machine.path(units[0]).read_text()
    assert "attachments" in machine.run("gzip", "-dc", "/usr/share/man/man8/sriovctl.8.gz")
    examples = os.listdir(machine.path("/usr/share/doc/sriov-cni/examples"))
    assert sorted(examples) == sorted(path.name for path in (ROOT / "conf").glob("*.example"))


def test_an_upgrade_keeps_all_and_a_purge_leaves_nothing_but_records(machine: Machine) -> None:
    before = machine.files()
    machine.dpkg("--install", "/tmp/sriov-cni.deb")
    installed = machine.files()
    assert "/opt/cni/bin/sriov" in installed
    machine.dpkg("--install", "/tmp/sriov-cni.deb")
    assert machine.files() == installed
    machine.run("sh", "-c", "touch /var/lib/cni/sriov/record")
    machine.dpkg("--purge", "sriov-cni")
    assert machine.files() - before == {"/var/lib/cni/sriov/record"}
    assert before - machine.files() == set()


def test_what_somebody_else_installed_is_left_to_him(machine: Machine) -> None:
    machine.dpkg("--install", "/tmp/sriov-cni.deb")
    machine.run("ln", "-sfn", "/elsewhere/sriov", "/opt/cni/bin/sriov")
    machine.dpkg("--remove", "sriov-cni")
    assert os.readlink(machine.path("/opt/cni/bin/sriov")) == "/elsewhere/sriov"
    assert not os.path.lexists(machine.path("/opt/cni/bin/fixipam"))


def test_the_same_release_gives_the_same_package(tmp_path: Path) -> None:
    (directory := tmp_path / "temporary").mkdir()
    again = tmp_path / "again.deb"
    date = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(PACKAGE)], capture_output=True, check=True
    ).stdout[136:148]  # the first member's date, in octal digits
    environment = {
        "SOURCE_DATE_EPOCH": str(int(date.strip(b"\0 "), 8)),
        "TMPDIR": str(directory),
        "TZ": "Asia/Tokyo",
    }
    subprocess.run(
        ["sh", "-c", 'umask 077; exec tools/deb "$@"', "-", "release", str(BILL), str(again)],
        env=os.environ | environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    assert again.read_bytes() == PACKAGE.read_bytes()


def frozen(bundle: str) -> set[str]:
    """Return the modules in a bundle: those within executables, and those in files."""
    found = set()
    directory = RELEASE / bundle
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            if path.read_bytes()[:4] == b"\x7fELF" and not path.suffix:
                archive = CArchiveReader(str(path))
                for name, entry in archive.toc.items():
                    if entry[4] in "zZ":
                        modules = archive.open_embedded_archive(name)
                        assert isinstance(modules, ZlibArchiveReader)
                        found |= set(modules.toc)
            elif path.suffix in (".so", ".py", ".pyc"):
                found.add(path.relative_to(directory / "_internal").parts[0].partition(".")[0])
    return {name.partition(".")[0] for name in found}


def test_the_bill_names_every_library_that_is_frozen_and_no_other() -> None:
    bill = json.loads(BILL.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    listed = {each["name"]: each for each in bill["components"] if each["type"] == "library"}
    owners = metadata.packages_distributions()
    modules = {name for bundle in BUNDLES for name in frozen(bundle)}
    theirs = {name for name in modules if name not in sys.stdlib_module_names and name in owners}
    names = {normal(owner) for name in theirs for owner in owners[name]} - {"sriov-cni"}
    assert names <= set(map(normal, listed))
    compiled = {"python3-11", "libffi", "zlib", "pyinstaller"}
    assert set(map(normal, listed)) - names == compiled
    assert {normal(name) for name in LIBRARIES} | compiled == set(map(normal, listed))
    pinned = dict(re.findall(r'"([\w-]+)==([\d.]+)"', (ROOT / "pyproject.toml").read_text()))
    for name, version in pinned.items():
        if name in listed:
            assert listed[name]["version"] == version


def test_the_bill_has_the_digest_of_every_executable_and_library() -> None:
    bill = json.loads(BILL.read_text())
    files = {each["name"]: each["hashes"] for each in bill["components"] if each["type"] == "file"}
    assert f"{BUNDLES[0]}/sriov" in files
    for name, ((digest),) in files.items():
        content = (RELEASE / name).read_bytes()
        assert digest == {"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}
    refs = [each["bom-ref"] for each in bill["components"]]
    assert len(refs) == len(set(refs))


def normal(name: str) -> str:
    """Return a distribution's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()

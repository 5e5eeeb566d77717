# SPDX-License-Identifier: Apache-2.0
"""The released executables, on a machine with an old C library and nothing else.

A root directory with Debian 11's libc6, as the package has it, and busybox stands for that machine;
the kernel is this one's. The mirror has no older release of Debian's: that nothing newer than glibc
2.28 (Debian 10, RHEL 8) is needed is read from the executables themselves.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.namespaces.installation import BUILT, ROOT
from tests.networks import MYNET
from tests.node import Node
from tests.plugin import Document, Plugin, run

RELEASED = ROOT / "release" / "sriov-cni.run"
CACHE = Path(os.environ.get("SRIOV_CNI_CACHE") or Path.home() / ".cache" / "sriov-cni")
BUNDLES = ("sriov-cni", "sriov-node")
OLD = "/mnt"  # the old machine's root directory
PLUGINS = "/opt/cni/bin"
NETWORK: Document = MYNET | {"cniVersion": "1.1.0"}
ARGS = "IP=10.55.206.46;VF=1;MAC=66:d8:02:77:aa:aa"
# What libc6 consists of; libraries of other packages may be missing on a node, or be other ones.
LIBC = {"ld-linux-x86-64.so.2"}
LIBC |= {f"lib{name}" for name in ("c.so.6", "dl.so.2", "m.so.6", "pthread.so.0", "util.so.1")}


def headers(kind: str, name: str = "sriov-cni") -> list[str]:
    """Return what objdump says of the header of each executable and library of a kind of bundle."""
    bundle = ROOT / kind / name
    files = [file for file in bundle.rglob("*") if file.is_file()]
    found = [run("objdump", "-p", str(file)) for file in files if _is_elf(file)]
    assert len(found) >= 2  # a program and libpython
    return found


def _is_elf(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"


def newest_glibc(kind: str, name: str = "sriov-cni") -> tuple[int, ...]:
    """Return the newest version of the C library's symbols that a bundle needs."""
    versions = re.findall(r" GLIBC_(\S+)$", "\n".join(headers(kind, name)), re.M)
    return max(tuple(int(part) for part in version.split(".")) for version in versions)


@pytest.fixture
def node() -> Iterator[Node]:
    """A node that has, below OLD, the programs and libraries of an old one."""
    with Node() as node:
        node.add_pf("eth1", vfs=3)
        node.run("mount", "-t", "tmpfs", "tmpfs", OLD)
        root = Path(node.path(OLD))
        for place in ("bin", "dev", "proc", "run", "sys", "tmp", "var/lib"):
            (root / place).mkdir(parents=True)
        run("cp", "-a", f"{CACHE}/libc-bullseye/.", str(root))
        node.run("mount", "--make-rshared", "/")  # pods that come later are seen there, too
        for place in ("/dev", "/proc", "/run", "/sys", "/var/lib"):
            node.run("mount", "--rbind", place, f"{OLD}{place}")
        shutil.copy(CACHE / "busybox", root / "bin" / "busybox")
        node.run("chroot", OLD, "/bin/busybox", "--install", "-s", "/bin")
        if not (root / "bin" / "flock").exists():  # Debian's is built without, others are not
            node.write(f"{OLD}/bin/flock", "#!/bin/sh\n")
            node.run("chmod", "+x", f"{OLD}/bin/flock")
        yield node


def install(node: Node, file: Path) -> tuple[int, str]:
    """Have the old machine install a self-installing file; return its end and its words."""
    shutil.copy(file, node.path(f"{OLD}/tmp/sriov-cni.run"))
    command = f"PATH=/bin sh /tmp/sriov-cni.run {PLUGINS} 2>&1; echo $?"
    *said, status = node.run("chroot", OLD, "/bin/sh", "-c", command).splitlines()
    return int(status), "\n".join(said)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_nothing_newer_than_glibc_2_28_is_needed(bundle: str) -> None:
    assert newest_glibc("release", bundle) <= (2, 28)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_no_other_library_of_the_node_is_needed(bundle: str) -> None:
    found = headers("release", bundle)
    needed = {name for header in found for name in re.findall(r"NEEDED +(\S+)", header)}
    assert {name for name in needed if not name.startswith("libpython")} <= LIBC


@pytest.mark.parametrize("bundle", BUNDLES)
@pytest.mark.parametrize("kind", ["dist", "release"])
def test_the_build_says_what_it_needs(kind: str, bundle: str) -> None:
    said = (ROOT / kind / f"{bundle}.glibc").read_text().strip()
    assert said == ".".join(map(str, newest_glibc(kind, bundle)))


def test_the_agent_is_installed_and_starts_with_glibc_2_31(node: Node) -> None:
    shutil.copy(ROOT / "release" / "sriov-node.run", node.path(f"{OLD}/tmp"))
    installing = "PATH=/bin sh /tmp/sriov-node.run"
    said = node.run("chroot", OLD, "/bin/sh", "-c", installing)
    assert said == "installed sriov-agent and sriovctl in /opt/sriov/bin\n"
    started = node.run("chroot", OLD, "/opt/sriov/bin/sriov-agent", "--version")
    assert started.startswith("sriov-agent ")


def test_an_add_and_its_del_are_served_with_glibc_2_31(node: Node, pod: str) -> None:
    said = node.run("chroot", OLD, "/lib/x86_64-linux-gnu/libc.so.6")
    assert "release version 2.31" in said
    assert install(node, RELEASED) == (0, f"installed sriov and fixipam in {PLUGINS}")
    before = node.state()
    sriov = Plugin(*node.entering, "chroot", OLD, f"{PLUGINS}/sriov")
    added = sriov("ADD", NETWORK, netns=pod, args=ARGS)
    assert (added.status, added.stderr) == (0, ""), added.said
    (net1,) = node.ip("-n", "pod", "addr", "show", "net1")
    assert net1["address"] == "66:d8:02:77:aa:aa"
    assert net1["addr_info"][0]["local"] == "10.55.206.46"
    checked = sriov("CHECK", NETWORK | {"prevResult": added.document}, netns=pod, args=ARGS)
    assert checked.status == 0, checked.said
    assert sriov("DEL", NETWORK, netns=pod, args=ARGS).status == 0
    assert node.state() == before


def test_fixipam_runs_with_glibc_2_31(node: Node) -> None:
    install(node, RELEASED)
    fixipam = Plugin(*node.entering, "chroot", OLD, f"{PLUGINS}/fixipam")
    outcome = fixipam("ADD", NETWORK, netns="/run/netns/any", args="IP=10.55.206.46")
    assert outcome.document["ips"][0]["address"] == "10.55.206.46/26"
    assert fixipam("DEL", NETWORK).status == 0


@pytest.mark.skipif(
    newest_glibc("dist") <= (2, 31), reason="the Python of `make build` is as old as the old node"
)
def test_an_executable_for_a_newer_glibc_is_refused(node: Node) -> None:
    shutil.copy("/lib/x86_64-linux-gnu/libz.so.1", node.path(f"{OLD}/lib/x86_64-linux-gnu"))
    status, said = install(node, BUILT)
    newest = ".".join(map(str, newest_glibc("dist")))
    assert status == 1
    assert f"it needs the GNU C library, {newest} or newer, and this system's is older" in said
    assert os.listdir(node.path(f"{OLD}{PLUGINS}")) == []

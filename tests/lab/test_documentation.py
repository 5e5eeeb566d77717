# SPDX-License-Identifier: Apache-2.0
"""The commands that the documents have for a node work on one, and `make demo` does."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import card
from tests.documents import ROOT, blocks, commands, text
from tests.lab.runtime import BUILT, INSTALLED, TOOLS
from tests.plugin import Document, Plugin, run

pytestmark = pytest.mark.once  # the commands are the same with each kernel
README = "README.md"
ELSEWHERE = {
    "dpkg --install sriov-cni_amd64.deb\n": "tests/namespaces/test_artifacts.py",
    "kubectl apply -k deploy/": "tests/cluster/test_preparation.py",
    "chroot /host sh /path/to/sriov-cni.run": "tests/namespaces/test_release.py",
    "kubectl -n kube-system logs daemonset/sriov-agent": "tests/cluster/test_agent_daemonset.py",
}
IN_A_CLUSTER = "docs/kubernetes.md"  # tests/cluster runs its commands


def without_systemd(script: str) -> str:
    """Return a script without what it tells systemd, which the guest does not run.

    What it would do with the unit, tests/namespaces/test_agent_service.py has systemd say.
    """
    lines = script.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("systemctl "))


ON_A_NODE = dict.fromkeys(  # each once
    script
    for c in commands()
    if not c.in_checkout and c.document != IN_A_CLUSTER and (script := without_systemd(c.script))
)
FROM_START_TO_END = [script for script in blocks("sh", README) if script in ON_A_NODE]
WITH_A_POD = [s for s in ON_A_NODE if s not in FROM_START_TO_END and s not in ELSEWHERE]
NAMES = {"<PF>": "eth1", "<pod>": "pod", "<directory>": "directory"}
NETWORK: Document = {"cniVersion": "1.1.0", "name": "layer2", "type": "sriov", "master": "eth1"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where an operator is: beside the installer, and the first network's configuration."""
    for name in ("sriov-cni.run", "sriov-node.run"):
        (tmp_path / name).symlink_to(os.path.realpath(Path(BUILT).with_name(name)))
    (network,) = blocks("json", README)
    (tmp_path / "10-sriov.conf").write_text(network)
    return tmp_path


@pytest.fixture
def bare() -> Iterator[None]:
    """A node without the plugins, whose cards have no VFs and are down."""
    run("sh", BUILT, "--uninstall", INSTALLED)
    for pf in card.PFS:
        Path(f"/sys/class/net/{pf}/device/sriov_numvfs").write_text("0")
        run("ip", "link", "set", pf, "down")
    yield
    run("sh", BUILT, INSTALLED)
    for pf in card.PFS:
        card.enable_vfs(pf, card.VFS)


def works(script: str, directory: Path) -> None:
    """Run a script; fail the test where a line of it fails."""
    for placeholder, name in NAMES.items():
        script = script.replace(placeholder, name)
    path = f"{os.environ['SRIOV_CNI_CACHE']}/bin:{TOOLS}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


@pytest.mark.usefixtures("bare")
def test_the_readme_leads_from_a_bare_node_to_its_first_network(directory: Path) -> None:
    for script in FROM_START_TO_END:
        works(script, directory)
    assert os.path.exists(f"{INSTALLED}/sriov")
    assert card.files("/var/lib/cni/sriov") == []


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("script", WITH_A_POD)
def test_a_command_of_the_documents_works_on_a_node_with_a_pod(
    sriov: Plugin, pods: Callable[[str], str], directory: Path, script: str
) -> None:
    pod = pods("pod")
    assert sriov("ADD", NETWORK, netns=pod).status == 0
    works(script, directory)
    if "--uninstall" in script:
        run("sh", BUILT, INSTALLED)
    assert sriov("DEL", NETWORK, netns=pod).status == 0


@pytest.mark.parametrize(("script", "place"), ELSEWHERE.items())
def test_any_other_command_runs_elsewhere(script: str, place: str) -> None:
    assert script in ON_A_NODE
    assert f'"{script.split()[0]}"' in text(place)


@pytest.mark.usefixtures("bare")
def test_the_demo_works() -> None:
    (demo,) = re.findall(r"boot .* (\S+/demo)$", text("Makefile"), re.M)
    done = subprocess.run([ROOT / demo], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "\nEvery step held. To go on:\n" in done.stdout

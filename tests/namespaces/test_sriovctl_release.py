# SPDX-License-Identifier: Apache-2.0
"""`sriovctl release`: what pods left is taken down, and nobody's VF is taken away by mistake."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sriov_node.kubelet.api import deviceplugin_pb2 as api
from tests import goplugin
from tests.kubelet import Allocated, Kubelet
from tests.networks import FULL, L2
from tests.node import Node
from tests.plugin import Outcome, wait_for, write_plugin

VF = "0000:01:10.0"
RECORD = f"/var/lib/cni/sriov/{VF},pod,net1"
ARGS = "VF=0;MAC=66:d8:02:77:aa:aa"
Release = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[Kubelet]:
    """A kubelet that answers; its `running` says what containers have."""
    loop, kubelet = asyncio.new_event_loop(), Kubelet(tmp_path / "kubelet")
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(kubelet.start(), loop).result(10)
    yield kubelet
    asyncio.run_coroutine_threadsafe(kubelet.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def release(node: Node, tmp_path: Path) -> Release:
    """The command on the node; without the fixture `kubelet`, none answers."""
    command = [*node.entering, sys.executable, "-P", "-m", "sriovctl"]
    command += ["--kubelet-dir", str(tmp_path / "kubelet"), "release"]

    def run(*words: str, before: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        whole = [*node.entering, *before, *command[len(node.entering) :], *words]
        nothing = subprocess.DEVNULL
        ended = subprocess.run(whole, stdin=nothing, capture_output=True, text=True, timeout=60)
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    return run


@pytest.fixture
def before(node: Node, pod: str) -> dict[str, object]:
    """The node's state before a full ADD was made."""
    before = node.state()
    outcome = node.sriov("ADD", FULL, netns=pod, args=ARGS)
    assert outcome.status == 0, outcome
    return before


def end_pod(node: Node) -> None:
    """End the pod without a DEL: its namespace goes, and the VF comes home under a pod's name."""
    node.take_from_pod("pod", "net1", "dev7")
    node.run("ip", "netns", "delete", "pod")
    os.makedirs(node.path(f"/sys/bus/pci/devices/{VF}/net/dev7"), exist_ok=True)


@pytest.mark.parametrize("what", [("pod",), ("po",), ("pod", "net1"), (VF,), ("01:10.0", "net1")])
def test_what_a_pod_left_is_released(
    node: Node, before: dict[str, object], kubelet: Kubelet, release: Release, what: tuple[str, ...]
) -> None:
    end_pod(node)
    ended = release(*what)
    assert ended.returncode == 0, ended.stderr
    assert f"interface net1 of container pod: {VF} is on the host as " in ended.stdout
    assert '"fixipam" has released its addresses' in ended.stdout
    assert node.state() == before
    again = release(*what)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"No attachment belongs to {' '.join(what)}.\n"


def test_a_pod_that_lives_keeps_its_vf_without_an_answer(
    node: Node, before: dict[str, object], kubelet: Kubelet, release: Release
) -> None:
    attached = node.state()
    ended = release("pod")
    assert ended.returncode == 11
    assert "its network namespace /run/netns/pod exists, so its pod may be alive" in ended.stderr
    assert "--yes releases it all the same" in ended.stderr
    assert node.state() == attached
    assert release("pod", "--yes").returncode == 0
    assert node.state() == before


def test_a_person_is_asked(node: Node, before: dict[str, object], tmp_path: Path) -> None:
    words = ["--kubelet-dir", str(tmp_path), "release", "pod"]
    command = [*node.entering, sys.executable, "-P", "-m", "sriovctl", *words]
    for answer, code in ((b"n\n", 1), (b"y\n", 0)):
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as asking:
            os.close(theirs)
            os.write(ours, answer)
            assert asking.wait(60) == code
        os.close(ours)
        assert (node.state() == before) == (code == 0)


def test_kubelets_word_counts_and_so_does_its_silence(
    node: Node, before: dict[str, object], kubelet: Kubelet, release: Release
) -> None:
    end_pod(node)
    left = node.state()
    kubelet.running.append(
        Allocated("web", "intel.com/net", (VF,), api.ContainerAllocateResponse())
    )
    ended = release("pod")
    assert ended.returncode == 11
    assert f"kubelet gave {VF} to container main of pod default/web" in ended.stderr
    kubelet.running.clear()
    assert release("pod", "--dry-run").stdout.endswith(
        "would be released at once: its pod is gone.\n"
    )
    assert node.state() == left
    silent = ("--kubelet-dir", "/none")
    command = [*node.entering, sys.executable, "-P", "-m", "sriovctl", *silent, "release", "pod"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert ended.returncode == 11
    assert "kubelet does not answer, so its pod may be alive" in ended.stderr
    assert node.state() == left


def test_a_vf_that_the_next_pod_has_stays_with_it(
    node: Node, before: dict[str, object], kubelet: Kubelet, release: Release, tmp_path: Path
) -> None:
    """The first pod's record only has addresses to release, which IPAM refused."""
    assert node.sriov("DEL", FULL).status == 0
    (tmp_path / "result").write_text('{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.5/24"}]}')
    path = write_plugin(tmp_path, "[ $CNI_COMMAND = ADD ] && cat result || exit 1")
    config = L2 | {"ipam": {"type": "written"}}
    assert node.sriov("ADD", config, netns="/run/netns/pod", args="VF=0", path=path).status == 0
    assert node.sriov("DEL", config, path=path).code == 106
    next_pod = node.add_pod("next")
    assert node.sriov("ADD", L2, container="next", netns=next_pod, args="VF=0").status == 0
    taken = node.state()["links"]
    ended = release("pod")
    assert ended.returncode == 1
    assert "plugin written not found" in ended.stderr  # it is not in /opt/cni/bin
    assert node.state()["links"] == taken
    assert f"{VF},next,net1" in node.state()["records"]  # type: ignore[operator]
    ended = release("p", "net1", "--dry-run")
    assert "would be released at once" in ended.stdout


def test_a_damaged_record_is_set_aside_after_a_question(
    node: Node, before: dict[str, object], kubelet: Kubelet, release: Release
) -> None:
    end_pod(node)
    node.write(RECORD, "{")
    ended = release("pod")
    assert ended.returncode == 11
    assert "its record does not tell its network namespace" in ended.stderr
    ended = release("pod", "--yes")
    assert ended.returncode == 0
    assert "its record is set aside, and nothing else is done" in ended.stdout
    assert "it is set aside as damaged-" in ended.stderr  # the plugin's own line
    assert node.files("/var/lib/cni/sriov") == [f"damaged-{VF},pod,net1"]


def test_a_record_of_a_newer_release_stays(
    node: Node, before: dict[str, object], release: Release
) -> None:
    node.write(RECORD, json.dumps(json.loads(node.read(RECORD)) | {"format": 99}))
    ended = release("pod", "--yes")
    assert ended.returncode == 1
    assert "a record was made by a newer release" in ended.stderr
    assert node.state()["records"] == [f"{VF},pod,net1"]


def test_what_the_go_plugin_attached(
    node: Node, pod: str, kubelet: Kubelet, release: Release
) -> None:
    (link,) = node.ip("link", "show", "dev", "eth1v0")
    before = node.state()["links"]
    config = {"cniVersion": "1.1.0", "name": "l2", "type": "sriov", "deviceID": VF}
    state = goplugin.vf_state("eth1v0", link["address"], MTU=link["mtu"])
    node.run("ip", "link", "set", "eth1v0", "netns", "pod", "name", "net1")
    cached = json.dumps(goplugin.cache(config, "eth1", 0, state))
    node.write(f"{goplugin.DIRECTORY}/pod-net1", cached)
    node.write(f"{goplugin.DIRECTORY}/pci/{VF}", pod)
    assert release("pod").returncode == 11
    end_pod(node)
    ended = release("pod")
    assert ended.returncode == 0, ended.stderr
    assert "addresses are not released: the Go plugin did not write down how" in ended.stdout
    assert node.state()["links"] == before
    assert node.files(goplugin.DIRECTORY) == []


def test_a_name_that_is_ambiguous_or_empty(node: Node, release: Release, pod: str) -> None:
    for name in ("pod", "pod2"):
        netns = pod if name == "pod" else node.add_pod(name)
        assert node.sriov("ADD", L2, container=name, netns=netns).status == 0
    ended = release("po")
    assert ended.returncode == 1
    assert "po is ambiguous: pod, pod2; write more of it" in ended.stderr
    assert "interface net1 of container pod would" in release("pod", "--dry-run").stdout
    assert release("").returncode == 64
    assert release("nobody").stdout == "No attachment belongs to nobody.\n"


def test_a_vf_in_a_namespace_without_a_path_is_said_to_be_in_use(
    node: Node, before: dict[str, object], kubelet: Kubelet, release: Release
) -> None:
    node.start("ip", "netns", "exec", "pod", "sleep", "60")
    wait_for(lambda: node.run("ip", "netns", "pids", "pod").split())
    node.run("ip", "netns", "delete", "pod")
    ended = release("pod")
    assert ended.returncode == 11
    assert "VF 0 of eth1 is in an unknown network namespace" in ended.stderr
    assert node.state()["records"] == [f"{VF},pod,net1"]


@pytest.mark.parametrize("call", ["unlinkat:1", "unlinkat:2", "sendto:3", "sendto:6"])
def test_a_del_goes_on_where_it_was_killed(
    node: Node, before: dict[str, object], kubelet: Kubelet, release: Release, call: str
) -> None:
    end_pod(node)
    name, nth = call.split(":")
    kill = ("strace", "-f", "-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={nth}")
    killed = release("pod", before=kill)
    assert killed.returncode == -signal.SIGKILL, killed
    outcome: Outcome = node.sriov("DEL", FULL)
    assert outcome.status == 0, outcome
    assert node.state() == before

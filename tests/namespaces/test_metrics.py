# SPDX-License-Identifier: Apache-2.0
"""Counters of real network devices in pods' namespaces, as a running agent shows them."""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.call import Arguments
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device, Snapshot
from tests.plugin import run
from tests.sysfs import Tree, seeing

PF, VF = "0000:3b:00.0", "0000:3b:02.0"
POD = "/run/netns/pod"
LABELS = {"device": VF, "pf": "eth1", "vf": "0", "interface": "net1", "network": "fast"}
# A pod with an interface that has sent and received something, and an agent that serves metrics.
SCRIPT = """
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add eth1 type veth peer name wire
ip netns add pod
ip link add other type veth peer name net1 netns pod
ip addr add 10.0.0.1/24 dev other
ip link set other up
ip -n pod addr add 10.0.0.2/24 dev net1
ip -n pod link set net1 up
ping -q -c 3 -i 0.01 -s 1000 10.0.0.2 >/dev/null
%s
"$0" -P -m sriov_node --kubelet-dir /run/kubelet --data-dir "$1" &
trap 'kill $!; wait' EXIT
"$0" -P -c '
import json, os, subprocess, sys, time, urllib.request

def get():
    with urllib.request.urlopen("http://127.0.0.1:9808/metrics", timeout=10) as answer:
        return answer.read().decode()

text, end = "", time.monotonic() + 10
while "sriov_vf_info{" not in text and time.monotonic() < end:
    try:
        text = get()
    except OSError:
        time.sleep(0.05)
for _ in range(3):
    get()
agent = sys.argv[1]
tasks = f"/proc/{agent}/task"
homes = {os.readlink(f"{tasks}/{task}/ns/net") for task in os.listdir(tasks)}
command = ("ip", "-n", "pod", "-s", "-s", "-j", "link")
kernel = subprocess.run(command, capture_output=True, text=True)
print(json.dumps({
    "text": text,
    "homes": sorted(homes),
    "home": os.readlink("/proc/self/ns/net"),
    "kernel": {link["ifname"]: link["stats64"] for link in json.loads(kernel.stdout or "[]")},
}))' $!
"""


class Seen(NamedTuple):
    """What the metrics tell of the pod's interface, and what the kernel does."""

    labels: dict[str, str]
    counters: dict[str, float]
    kernel: Any


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A PF with two VFs, one of them away."""
    tree = Tree(tmp_path / "sys")
    tree.pf(PF, "eth1", vfs=2)
    tree.take("eth1v0")
    return tree


def attach(tree: Tree, netns: str = POD, interface: str = "net1") -> None:
    """Have a record say that VF 0 is in a pod."""
    records = AttachmentRecords(str(tree.root.parent / "state"), create=True)
    before = Snapshot(Device("eth1v0", (), "02:00:00:00:00:01", 1500, False, VF), None)
    function, owner = PciFunction("eth1", 0, VF), Owner("pod-1", interface)
    record = Record(owner, netns, "fast", records.boot, function, before, Arguments("", {}), {})
    records.write(record)


def scrape(tree: Tree, *script: str) -> Seen:
    """Return what a scrape shows of the pod after a script; each of its threads must come home."""
    state = str(tree.root.parent / "state")
    program = SCRIPT % "\n".join(script)
    said = json.loads(run(*seeing(tree, "sh", "-ec", program, sys.executable, state)))
    assert said["homes"] == [said["home"]]
    samples = [sample for family in parse_text(said["text"]) for sample in family.samples]
    assert [s.labels["device"] for s in samples if s.name == "sriov_vf_info"] == [
        VF,
        "0000:3b:02.1",
    ]
    pods = [sample for sample in samples if sample.name.startswith("sriov_pod_")]
    return Seen(
        dict(pods[0].labels) if pods else {},
        {sample.name: sample.value for sample in pods},
        said["kernel"],
    )


def test_a_pod_s_counters_are_those_that_the_kernel_tells_in_its_namespace(tree: Tree) -> None:
    attach(tree)
    seen = scrape(tree, "ip -n pod link set net1 down", "ip link set other down")
    assert seen.labels == LABELS | {"resource": "", "namespace": "", "pod": ""}
    received, sent = seen.kernel["net1"]["rx"], seen.kernel["net1"]["tx"]
    assert received["packets"] >= 3
    assert received["bytes"] > 3000
    assert seen.counters == {
        "sriov_pod_rx_bytes_total": received["bytes"],
        "sriov_pod_tx_bytes_total": sent["bytes"],
        "sriov_pod_rx_packets_total": received["packets"],
        "sriov_pod_tx_packets_total": sent["packets"],
        "sriov_pod_rx_dropped_total": received["dropped"] + received["missed_errors"],
        "sriov_pod_tx_dropped_total": sent["dropped"],
        "sriov_pod_rx_errors_total": received["errors"],
        "sriov_pod_tx_errors_total": sent["errors"],
    }


@pytest.mark.parametrize(
    "script",
    [
        ("ip netns del pod",),
        ("ip -n pod link del net1",),
        ("ip -n pod link set net1 down", "ip -n pod link set net1 name renamed"),
    ],
    ids=["its namespace", "its interface", "its interface's name"],
)
def test_a_pod_that_has_lost_something_has_no_counters(tree: Tree, script: tuple[str, ...]) -> None:
    attach(tree)
    assert scrape(tree, *script).counters == {}


@pytest.mark.parametrize("netns", ["/run/host", "/run/fifo", "/run/file", "/run", "/nothing"])
def test_what_is_no_pod_s_namespace_is_not_entered(tree: Tree, netns: str) -> None:
    attach(tree, netns, "eth1")
    script = (
        "mkfifo /run/fifo",
        "touch /run/file /run/host",
        "mount --bind /proc/self/ns/net /run/host",
    )
    assert scrape(tree, *script).counters == {}


def test_a_device_for_user_space_has_no_interface_that_counts(tree: Tree) -> None:
    tree.bind(VF, "vfio-pci")
    attach(tree)
    assert scrape(tree).counters == {}


THREADS = """
mount -t tmpfs tmpfs /run
ip netns add pod
exec "$0" -P -c '
import json, os, threading
from sriov_cni.kernel import netns

def here():
    return os.readlink("/proc/thread-self/ns/net")

seen, entered, leave = {}, threading.Event(), threading.Event()

def visit():
    with netns.pod_at("/run/netns/pod") as pod:
        try:
            with netns.inside(pod.namespace):
                seen["inside"] = here()
                entered.set()
                leave.wait(10)
                raise RuntimeError
        except RuntimeError:
            seen["after"] = here()

thread = threading.Thread(target=visit)
seen["home"] = here()
thread.start()
entered.wait(10)
seen["other thread meanwhile"] = here()
leave.set()
thread.join()
print(json.dumps(seen))'
"""


def test_only_the_thread_that_enters_a_pod_is_there_and_it_comes_home_from_a_failure() -> None:
    command = ("unshare", "--mount", "--net", "sh", "-ec", THREADS, sys.executable)
    seen = json.loads(run(*command))
    assert seen.pop("inside") not in seen.values()
    assert len(set(seen.values())) == 1

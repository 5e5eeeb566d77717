# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on nodes: namespaces that die, names that are taken, VFs that go away.

Every call works, or fails with a code and words; in the end the card is as before.
"""

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests import card
from tests.plugin import Document, Outcome, Plugin, run, run_json, wait_for

VF = 2
CONFIG: Document = {
    "cniVersion": "1.1.0",
    "name": "bad-days",
    "type": "sriov",
    "master": "eth0",
    "vf": VF,
    "mac": "66:d8:02:77:bd:01",
    "vlan": 9,
    "trust": "on",
    "mtu": 1400,
}
unchanged = pytest.mark.usefixtures("unchanged")


@pytest.fixture
def vf() -> Iterator[str]:
    """The name of the VF on the host, where it has an alternative name, too."""
    (name,) = card.netdevs("eth0", VF)
    run("ip", "link", "property", "add", "dev", name, "altname", "enp1s0v2")
    yield name
    run("ip", "link", "property", "del", "dev", name, "altname", "enp1s0v2")


@pytest.fixture
def bridges() -> Iterator[Callable[[str], None]]:
    """Make bridges on the host by name; they are deleted after the test."""
    made: list[str] = []

    def make(name: str) -> None:
        run("ip", "link", "add", name, "type", "bridge")
        made.append(name)

    yield make
    for name in made:
        run("ip", "link", "delete", name, check=False)


def wait_for_return(vf: int = VF) -> str:
    """Wait until the kernel has brought a VF of eth0 home; return its name there."""
    return wait_for(lambda: card.netdevs("eth0", vf), patience=30)[0]


def assert_done(outcome: Outcome) -> None:
    """Assert that a DEL or GC succeeded and had nothing to say."""
    assert (outcome.status, outcome.document, outcome.stderr) == (0, {}, ""), outcome


@unchanged
@pytest.mark.old_kernel
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
def test_del_after_the_namespace_is_gone(
    sriov: Plugin, pods: Callable[[str], str], vf: str, later: bool
) -> None:
    pod = pods("pod")
    assert sriov("ADD", CONFIG, netns=pod).status == 0
    run("ip", "netns", "delete", "pod")
    if later:
        assert wait_for_return() == "net1"
    assert_done(sriov("DEL", CONFIG, netns=pod))


@unchanged
@pytest.mark.old_kernel
def test_del_before_the_add_without_a_namespace_and_twice(
    sriov: Plugin, pods: Callable[[str], str], vf: str
) -> None:
    pod = pods("pod")
    assert_done(sriov("DEL", CONFIG, netns=pod))
    assert sriov("ADD", CONFIG, netns=pod).status == 0
    assert_done(sriov("DEL", CONFIG, netns=""))
    assert_done(sriov("DEL", CONFIG, netns=pod))


@unchanged
def test_del_needs_nothing_of_the_configuration_that_was(
    sriov: Plugin, pods: Callable[[str], str], vf: str
) -> None:
    ipam = {"type": "fixipam", "subnet": "10.7.0.0/24"}
    pod = pods("pod")
    assert sriov("ADD", CONFIG | {"ipam": ipam}, netns=pod, args="IP=10.7.0.9").status == 0
    other = {"cniVersion": "1.0.0", "name": "other", "type": "sriov", "master": "gone", "vlan": 10}
    assert_done(sriov("DEL", other, netns=pod))


@unchanged
def test_what_the_pod_did_to_its_interface_is_undone(
    sriov: Plugin, pods: Callable[[str], str], vf: str
) -> None:
    pod = pods("pod")
    assert sriov("ADD", CONFIG, netns=pod).status == 0
    inside = ("ip", "-n", "pod", "link")
    run(*inside, "set", "net1", "down")
    run(*inside, "set", "net1", "name", "mine", "address", "66:d8:02:77:bd:02", "mtu", "1300")
    run(*inside, "property", "del", "dev", "mine", "altname", "enp1s0v2")
    for name in ("of-the-pod", vf):
        run(*inside, "property", "add", "dev", "mine", "altname", name)
    assert_done(sriov("DEL", CONFIG, netns=pod))


@unchanged
def test_a_vf_that_was_moved_on_is_waited_for_and_kept_on_record(
    sriov: Plugin, pods: Callable[[str], str], vf: str
) -> None:
    pod = pods("pod")
    pods("elsewhere")
    assert sriov("ADD", CONFIG, netns=pod).status == 0
    run("ip", "-n", "pod", "link", "set", "net1", "netns", "elsewhere")
    outcome = sriov("DEL", CONFIG, netns=pod)
    assert (outcome.code, outcome.document["msg"]) == (
        11,
        "VF 2 of eth0 is in an unknown network namespace",
    )
    assert card.files("/var/lib/cni/sriov") == [f"{card.vf_address('eth0', VF)},pod,net1"]
    run("ip", "-n", "elsewhere", "link", "set", "net1", "netns", "pod")
    assert_done(sriov("DEL", CONFIG, netns=pod))


@unchanged
@pytest.mark.parametrize("kind", ["bridge", "bond"])
def test_a_vf_the_host_has_enslaved_is_not_free(
    sriov: Plugin, pods: Callable[[str], str], kind: str
) -> None:
    (vf,) = card.netdevs("eth0", VF)
    administrative = card.administrative_mac("eth0", VF)
    run("ip", "link", "add", "master0", "type", kind)
    run("ip", "link", "set", vf, "master", "master0")
    outcome = sriov("ADD", CONFIG, netns=pods("pod"))
    run("ip", "link", "delete", "master0")
    run("ip", "link", "set", vf, "down")  # a bond brings it up, and its MAC becomes known to the PF
    run("ip", "link", "set", "eth0", "vf", str(VF), "mac", administrative)
    assert (outcome.code, outcome.document["msg"]) == (102, "VF 2 of eth0 is not free")
    assert "belongs to a bond, bridge or team of the host" in outcome.said


@unchanged
@pytest.mark.parametrize("kind", ["bridge", "bond"])
def test_a_vf_the_pod_has_enslaved_comes_home(
    sriov: Plugin, pods: Callable[[str], str], vf: str, kind: str
) -> None:
    pod = pods("pod")
    assert sriov("ADD", CONFIG, netns=pod).status == 0
    inside = ("ip", "-n", "pod", "link")
    run(*inside, "add", "master0", "type", kind)
    run(*inside, "set", "net1", "down")
    run(*inside, "set", "net1", "master", "master0")
    run(*inside, "set", "net1", "up")
    assert_done(sriov("DEL", CONFIG, netns=pod))


@pytest.mark.parametrize("pod_is_alive", [True, False], ids=["alive", "gone"])
def test_del_when_the_vfs_were_made_anew(
    sriov: Plugin, pods: Callable[[str], str], pod_is_alive: bool
) -> None:
    pod = pods("pod")
    before = card.vf_info("eth0", VF)
    assert sriov("ADD", CONFIG, netns=pod).status == 0
    with open("/sys/class/net/eth0/device/sriov_numvfs", "w", encoding="ascii") as file:
        file.write("0")
    card.enable_vfs("eth0", card.VFS)
    if not pod_is_alive:
        run("ip", "netns", "delete", "pod")
    assert sriov("DEL", CONFIG, netns=pod).status == 0
    assert card.vf_info("eth0", VF) == before
    assert_next_pod_is_served(sriov, pods)


def test_del_while_the_pf_has_no_driver(sriov: Plugin, pods: Callable[[str], str]) -> None:
    pod = pods("pod")
    assert sriov("ADD", CONFIG, netns=pod).status == 0
    pf = card.pci_address("eth0")
    for action in ("unbind", "bind"):
        with open(f"/sys/bus/pci/drivers/igb/{action}", "w", encoding="ascii") as file:
            file.write(pf)
        if action == "unbind":
            assert sriov("ADD", CONFIG, container="next", netns=pod, ifname="net2").code == 101
            assert_done(sriov("DEL", CONFIG, netns=pod))
    card.enable_vfs("eth0", card.VFS)
    assert_next_pod_is_served(sriov, pods)


def assert_next_pod_is_served(sriov: Plugin, pods: Callable[[str], str]) -> None:
    """Assert that the same VF can be given again, and that nothing is left after that."""
    pod = pods("next")
    outcome = sriov("ADD", CONFIG, container="next", netns=pod)
    assert outcome.status == 0, outcome.said
    assert_done(sriov("DEL", CONFIG, container="next", netns=pod))
    assert card.files("/var/lib/cni/sriov") == []


@unchanged
@pytest.mark.parametrize("pod_is_alive", [True, False], ids=["alive", "gone"])
def test_a_vf_whose_names_were_taken_comes_home_under_another(
    sriov: Plugin,
    pods: Callable[[str], str],
    vf: str,
    bridges: Callable[[str], None],
    pod_is_alive: bool,
) -> None:
    pod = pods("pod")
    assert sriov("ADD", CONFIG, netns=pod).status == 0
    bridges(vf)
    run("ip", "link", "property", "add", "dev", vf, "altname", "enp1s0v2")
    if not pod_is_alive:
        run("ip", "netns", "delete", "pod")
    outcome = sriov("DEL", CONFIG, netns=pod)
    assert outcome.status == 0
    (name,) = card.netdevs("eth0", VF)
    for lost in (vf, "enp1s0v2"):
        assert f"{name} is not {lost} again: another device has that name" in outcome.stderr
    run("ip", "link", "delete", vf)
    run("ip", "link", "set", name, "name", vf)
    run("ip", "link", "property", "add", "dev", vf, "altname", "enp1s0v2")


@unchanged
def test_the_vf_may_be_called_on_the_host_what_it_is_to_be_in_the_pod(
    sriov: Plugin, pods: Callable[[str], str], vf: str
) -> None:
    pod = pods("pod")
    run("ip", "-n", "pod", "link", "add", vf, "type", "bridge")
    assert sriov("ADD", CONFIG, netns=pod).status == 0  # a name of the pod's does not matter
    assert_done(sriov("DEL", CONFIG, netns=pod))
    run("ip", "link", "set", vf, "name", "net1")
    assert sriov("ADD", CONFIG, netns=pod).status == 0
    assert_done(sriov("DEL", CONFIG, netns=pod))
    run("ip", "link", "set", "net1", "name", vf)


@unchanged
def test_a_taken_interface_name_is_refused(
    sriov: Plugin, pods: Callable[[str], str], vf: str
) -> None:
    pod = pods("pod")
    run("ip", "-n", "pod", "link", "add", "eth0", "type", "bridge")
    run("ip", "-n", "pod", "link", "property", "add", "dev", "eth0", "altname", "enp9s0")
    for ifname in ("eth0", "enp9s0"):
        outcome = sriov("ADD", CONFIG, netns=pod, ifname=ifname)
        assert (outcome.code, outcome.document["msg"]) == (
            102,
            f"interface {ifname} exists in the pod",
        )


@unchanged
@pytest.mark.parametrize("how", ["name", "alternative name"])
def test_an_alternative_name_that_another_device_has_in_the_pod(
    sriov: Plugin, pods: Callable[[str], str], vf: str, how: str
) -> None:
    pod = pods("pod")
    if how == "name":
        run("ip", "-n", "pod", "link", "add", "enp1s0v2", "type", "bridge")
    else:
        run("ip", "-n", "pod", "link", "add", "br0", "type", "bridge")
        run("ip", "-n", "pod", "link", "property", "add", "dev", "br0", "altname", "enp1s0v2")
    outcome = sriov("ADD", CONFIG, netns=pod)
    assert outcome.status == 0, outcome.said
    assert_done(sriov("DEL", CONFIG, netns=pod))


@unchanged
@pytest.mark.parametrize("recovery", ["ADD by deviceID", "ADD of the first free VF", "GC", "DEL"])
def test_a_vf_that_came_home_as_devn_is_found_and_restored(
    sriov: Plugin, pods: Callable[[str], str], bridges: Callable[[str], None], recovery: str
) -> None:
    config = CONFIG | {"vf": 0}
    assert sriov("ADD", config, container="dead", netns=pods("dead")).status == 0
    bridges("net1")
    run("ip", "netns", "delete", "dead")
    assert wait_for_return(vf=0).startswith("dev")
    if recovery == "GC":
        assert_done(sriov("GC", config | {"cni.dev/valid-attachments": []}))
    elif recovery == "DEL":
        assert_done(sriov("DEL", config, container="dead"))
    else:
        del config["vf"]
        address = card.vf_address("eth0", 0)
        wanted = config | {"deviceID": address} if recovery == "ADD by deviceID" else config
        pod = pods("next")
        outcome = sriov("ADD", wanted, container="next", netns=pod)
        assert outcome.status == 0, outcome.said
        assert outcome.document["interfaces"][0]["pciID"] == address
        assert "was lost by interface net1 of container dead without a DEL" in outcome.stderr
        assert_done(sriov("DEL", config, container="next", netns=pod))


def process_in(pod: str, wanted: int = 0) -> "subprocess.Popen[bytes]":
    """Start a process in a pod; with a certain number, if that is wanted."""
    while True:
        if wanted:
            with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
                file.write(str(wanted - 1))
        process = subprocess.Popen(["ip", "netns", "exec", pod, "sleep", "600"])
        if wanted in (0, process.pid):
            break
        process.kill()
        process.wait()
    wait_for(lambda: os.path.samefile(f"/proc/{process.pid}/ns/net", f"/run/netns/{pod}"))
    return process


@unchanged
@pytest.mark.old_kernel
@pytest.mark.parametrize("reused", [False, True], ids=["gone", "another pod's"])
def test_del_finds_the_vf_where_the_runtime_says_if_the_adds_path_leads_there_no_more(
    sriov: Plugin, pods: Callable[[str], str], vf: str, reused: bool
) -> None:
    pod, _ = pods("pod"), pods("other")
    run("ip", "-n", "other", "link", "add", "net1", "type", "dummy")
    process = process_in("pod")
    path = f"/proc/{process.pid}/ns/net"
    added = sriov("ADD", CONFIG, netns=path)
    assert added.status == 0
    process.kill()
    process.wait()
    others = process_in("other", process.pid) if reused else None
    checked = CONFIG | {"prevResult": added.document}
    assert sriov("CHECK", checked, netns=pod).status == 0
    lost = sriov("DEL", CONFIG, netns=path)
    assert lost.code == 11
    assert "is in an unknown network namespace" in lost.said
    assert [link["ifname"] for link in run_json("ip", "-j", "-n", "other", "link")] == [
        "lo",
        "net1",
    ]
    assert_done(sriov("DEL", CONFIG, netns=pod))
    if others is not None:
        others.kill()
        others.wait()
    assert run("ip", "-n", "other", "link", "show", "net1")

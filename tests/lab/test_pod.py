# SPDX-License-Identifier: Apache-2.0
"""The picture it all belongs to: a pod with an ordinary interface and two on VFs of two cards.

Multus attaches all three. The gateway of each data network is on the other card: a VLAN device of
that card's PF, so that whatever goes from the pod to the network passes the PF, tagged, and can be
captured there.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest

from tests import card
from tests.lab.runtime import Cnitool
from tests.plugin import Document, Plugin, run, run_json

pytestmark = pytest.mark.usefixtures("unchanged")


class DataNetwork(NamedTuple):
    """A data network as the pod sees it, and the PF its gateway is on."""

    ifname: str
    pf: str
    gateways_pf: str
    vlan: int
    mac: str
    prefix: str
    beyond: str  # the network behind the gateway
    far: str  # an address in it


NETWORKS = {
    "red": DataNetwork(
        ifname="net1",
        pf="eth0",
        gateways_pf="eth1",
        vlan=100,
        mac="66:d8:02:77:01:05",
        prefix="10.1.0",
        beyond="172.16.0.0/16",
        far="172.16.0.1",
    ),
    "blue": DataNetwork(
        ifname="net2",
        pf="eth1",
        gateways_pf="eth0",
        vlan=200,
        mac="66:d8:02:77:02:05",
        prefix="10.2.0",
        beyond="172.17.0.0/16",
        far="172.17.0.1",
    ),
}


def delegate(name: str, network: DataNetwork) -> Document:
    """Return what Multus is to hand to sriov for a data network."""
    return {
        "cniVersion": "1.1.0",
        "name": name,
        "type": "sriov",
        "master": network.pf,
        "vlan": network.vlan,
        "mac": network.mac,
        "args": {"cni": {"ips": [f"{network.prefix}.5"]}},
        "ipam": {
            "type": "fixipam",
            "subnet": f"{network.prefix}.0/24",
            "gateway": f"{network.prefix}.1",
            "routes": [{"dst": network.beyond}],
        },
    }


@pytest.fixture
def ordinary(tmp_path: object) -> Iterator[Document]:
    """An ordinary pod network; its bridge, which is meant to stay, is removed after the test."""
    ipam = {
        "type": "host-local",
        "dataDir": f"{tmp_path}/host-local",
        "ranges": [[{"subnet": "10.244.0.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    yield {
        "cniVersion": "1.0.0",
        "name": "ordinary",
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipam": ipam,
    }
    run("ip", "link", "delete", "cni0", check=False)


@pytest.fixture
def gateways(pods: Callable[[str], str]) -> None:
    """The gateways of the data networks, each in a namespace of its network's name."""
    for name, network in NETWORKS.items():
        pods(name)
        link = ("link", network.gateways_pf, "name", "vlan", "netns", name)
        run("ip", "link", "add", *link, "type", "vlan", "id", str(network.vlan))
        for device, address in (("vlan", f"{network.prefix}.1/24"), ("lo", network.far)):
            run("ip", "-n", name, "addr", "add", address, "dev", device)
            run("ip", "-n", name, "link", "set", device, "up")


def attached(cnitool: Cnitool, ordinary: Document, pod: str) -> Document:
    """Have Multus attach the pod to all networks; return its result."""
    delegates = [ordinary, *(delegate(name, network) for name, network in NETWORKS.items())]
    multus = {"type": "multus", "cniDir": f"{cnitool.directory}/multus", "delegates": delegates}
    cnitool.configure({"cniVersion": "1.0.0", "name": "three", "plugins": [multus]})
    added = cnitool("add", "three", pod, ifname="eth0")
    assert added.returncode == 0, added.stdout + added.stderr
    result = json.loads(added.stdout)
    assert isinstance(result, dict)
    return result


def echoes(pf: str, *options: str) -> "subprocess.Popen[str]":
    """Start to capture the ICMP frames with a VLAN tag that pass a PF."""
    command = ["tcpdump", "-lnei", pf, "--immediate-mode", *options, "vlan and icmp"]
    pipe = subprocess.PIPE
    capture = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    assert capture.stderr is not None
    while "listening on" not in (line := capture.stderr.readline()):
        assert line, f"tcpdump does not capture on {pf}"
    return capture


def assert_goes_by_its_own_card(network: DataNetwork) -> None:
    """Assert that the pod's way to the network behind a gateway is by the right card and VLAN."""
    there, elsewhere = echoes(network.gateways_pf, "-c", "2"), echoes(network.pf)
    assert card.reaches("pod", network.far, patience=5)
    request, reply = there.communicate(timeout=20)[0].splitlines()
    assert f"{network.mac} > " in request
    assert f"vlan {network.vlan}, " in request
    assert f"{network.prefix}.5 > {network.far}: ICMP echo request" in request
    assert f" > {network.mac}, " in reply
    elsewhere.terminate()
    assert elsewhere.communicate()[0].strip() == ""


def test_a_pod_has_three_interfaces_and_each_data_network_its_card(
    ordinary: Document, gateways: None, cnitool: Cnitool, pods: Callable[[str], str]
) -> None:
    pod = pods("pod")
    result = attached(cnitool, ordinary, pod)
    assert [ip["address"] for ip in result["ips"]] == ["10.244.0.2/24"]

    for network in NETWORKS.values():
        link = card.pod_link("pod", network.ifname)
        address = (f"{network.prefix}.5", 24)
        assert (link["addr_info"][0]["local"], link["addr_info"][0]["prefixlen"]) == address
        assert link["address"] == network.mac
        assert link["parentdev"] == card.vf_address(network.pf, 0)
    assert card.pod_link("pod", "eth0")["addr_info"][0]["local"] == "10.244.0.2"
    listed = run_json("ip", "-j", "-n", "pod", "route")
    assert {(route["dst"], route.get("gateway"), route["dev"]) for route in listed} == {
        ("default", "10.244.0.1", "eth0"),
        ("10.244.0.0/24", None, "eth0"),
        ("10.1.0.0/24", None, "net1"),
        ("172.16.0.0/16", "10.1.0.1", "net1"),
        ("10.2.0.0/24", None, "net2"),
        ("172.17.0.0/16", "10.2.0.1", "net2"),
    }

    assert card.reaches("pod", "10.244.0.1", patience=5)
    for name, network in NETWORKS.items():
        # The gateway speaks first: emulated PFs do not get broadcasts of VLANs that only they have.
        assert card.reaches(name, f"{network.prefix}.5", patience=20)
        assert_goes_by_its_own_card(network)

    for command in ("check", "del"):
        done = cnitool(command, "three", pod, ifname="eth0")
        assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
    assert [link["ifname"] for link in run_json("ip", "-j", "-n", "pod", "link")] == ["lo"]


def wishing(cnitool: Cnitool, wishes: Document, **network: Any) -> "CompletedProcess[str]":
    """Have Multus attach a pod to the red network, with these wishes in its `cni-args`.

    In a cluster Multus merges them into args.cni of the delegate, as they are.
    """
    red = delegate("red", NETWORKS["red"])
    red["args"]["cni"] |= wishes
    multus = {"type": "multus", "cniDir": f"{cnitool.directory}/multus"}
    cnitool.configure(
        {
            "cniVersion": "1.0.0",
            "name": "wishes",
            "plugins": [multus | {"delegates": [red | network]}],
        }
    )
    return cnitool("add", "wishes", "/run/netns/pod")


def test_a_pod_leaves_neither_the_networks_vlan_nor_its_card(
    tmp_path: Path, cnitool: Cnitool, pods: Callable[[str], str]
) -> None:
    pod, red, log = pods("pod"), NETWORKS["red"], tmp_path / "log"
    elsewhere = card.vf_address(NETWORKS["blue"].pf, 3)
    wishes = {"vlan": 4000, "vf": 3, "deviceID": elsewhere, "pciBusID": elsewhere}
    added = wishing(cnitool, wishes, logFile=str(log))
    assert added.returncode == 0, added.stdout + added.stderr
    assert card.pod_link("pod", red.ifname)["parentdev"] == card.vf_address(red.pf, 0)
    assert card.vlan(red.pf, 0) == red.vlan
    for key, value in wishes.items():
        assert f"args.cni.{key} {json.dumps(value)} is not heard" in log.read_text()
    assert cnitool("check", "wishes", pod).returncode == 0
    assert cnitool("del", "wishes", pod).returncode == 0


@pytest.mark.parametrize("key", ["vlan", "vf", "deviceID"])
def test_a_pod_that_contradicts_the_network_gets_nothing(
    cnitool: Cnitool, pods: Callable[[str], str], key: str
) -> None:
    pods("pod")
    given = {"vlan": 100, "vf": 0, "deviceID": card.vf_address(NETWORKS["red"].pf, 0)}
    other = {"vlan": 4000, "vf": 3, "deviceID": card.vf_address(NETWORKS["red"].pf, 3)}
    before = card.state()
    added = wishing(cnitool, {key: other[key]}, requests=[key], **{key: given[key]})
    assert added.returncode != 0
    assert f"args.cni.{key} is {json.dumps(other[key])}" in added.stderr
    assert card.state() == before
    assert [link["ifname"] for link in run_json("ip", "-j", "-n", "pod", "link")] == ["lo"]


def test_a_pod_chooses_what_the_network_leaves_to_it(
    cnitool: Cnitool, pods: Callable[[str], str]
) -> None:
    pod, red = pods("pod"), NETWORKS["red"]
    added = wishing(cnitool, {"vlan": 4000, "vf": 3}, vlan=None, requests=["vlan", "vf"])
    assert added.returncode == 0, added.stdout + added.stderr
    assert card.pod_link("pod", red.ifname)["parentdev"] == card.vf_address(red.pf, 3)
    assert card.vlan(red.pf, 3) == 4000
    assert cnitool("del", "wishes", pod).returncode == 0


def test_check_and_del_hear_what_the_add_heard(sriov: Plugin, pods: Callable[[str], str]) -> None:
    pod, red = pods("pod"), NETWORKS["red"]
    network = delegate("red", red) | {"requests": ["vlan"], "vlan": None}
    wish: Document = {"args": {"cni": {"ips": ["10.1.0.5"], "vlan": 7}}}
    added = sriov("ADD", network | wish, netns=pod)
    assert (added.code, card.vlan(red.pf, 0)) == (0, 7)
    previous = {"prevResult": added.document}
    assert sriov("CHECK", network | wish | previous, netns=pod).code == 0
    wish["args"]["cni"]["vlan"] = 8
    checked = sriov("CHECK", network | wish | previous, netns=pod)
    assert checked.code == 105
    assert "vlan" in checked.said.lower()
    assert sriov("CHECK", network | wish | previous | {"vlan": 7}, netns=pod).code == 7
    assert sriov("DEL", network | {"requests": "x", "args": [], "vlan": -1}, netns=pod).code == 0

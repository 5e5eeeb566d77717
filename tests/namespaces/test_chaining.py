# SPDX-License-Identifier: Apache-2.0
"""Results of plugins earlier in a chain are passed on, with our own added; logs say what is odd."""

import pytest

from tests.networks import L2
from tests.node import Node
from tests.plugin import Document

EARLIER: Document = {
    "cniVersion": "1.1.0",
    "interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": "/run/netns/pod"}],
    "ips": [{"address": "10.9.0.5/24", "gateway": "10.9.0.1", "interface": 1}],
    "routes": [{"dst": "0.0.0.0/0"}],
    "dns": {"nameservers": ["10.9.0.53"]},
}
CHAINED: Document = L2 | {
    "prevResult": EARLIER,
    "ipam": {"type": "fixipam", "subnet": "10.1.0.0/24", "routes": [{"dst": "10.2.0.0/16"}]},
}


def test_a_previous_result_is_passed_on_with_ours_added(node: Node, pod: str) -> None:
    document = node.sriov("ADD", CHAINED, netns=pod, args="IP=10.1.0.5").document
    assert [i["name"] for i in document["interfaces"]] == ["br0", "eth0", "net1"]
    assert document["ips"] == [*EARLIER["ips"], {"address": "10.1.0.5/24", "interface": 2}]
    assert document["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "10.2.0.0/16"}]
    assert document["dns"] == EARLIER["dns"]


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_another_plugins_interface_is_passed_on_with_all_it_has(
    node: Node, pod: str, version: str
) -> None:
    given = {"name": "vhost0", "sandbox": pod, "socketPath": "/run/vhost0", "mtu": 9000, "x": [1]}
    previous = {"cniVersion": version, "interfaces": [given]}
    config = L2 | {"cniVersion": version, "prevResult": previous}
    outcome = node.sriov("ADD", config, netns=pod)
    assert outcome.document["interfaces"][0] == given
    if version >= "0.4.0":
        checked = config | {"prevResult": outcome.document}
        assert node.sriov("CHECK", checked, netns=pod).status == 0


def test_check_leaves_other_plugins_addresses_to_them(node: Node, pod: str) -> None:
    document = node.sriov("ADD", CHAINED, netns=pod, args="IP=10.1.0.5").document
    node.run("ip", "-n", "pod", "route", "add", "default", "dev", "net1")
    assert node.sriov("CHECK", CHAINED | {"prevResult": document}, netns=pod).said == "None: None"


@pytest.mark.parametrize("previous", [[], "x", {"ips": [{"address": "none"}]}])
def test_an_invalid_previous_result_changes_nothing(node: Node, pod: str, previous: object) -> None:
    before = node.state()
    outcome = node.sriov("ADD", L2 | {"prevResult": previous}, netns=pod)
    assert outcome.code == 7
    assert node.state() == before


def test_the_configurations_dns_is_the_results(node: Node, pod: str) -> None:
    dns = {"nameservers": ["192.0.2.53"], "search": ["example.com"]}
    assert node.sriov("ADD", L2 | {"dns": dns}, netns=pod).document["dns"] == dns


def test_a_key_in_another_case_is_taken_with_a_warning(node: Node, pod: str) -> None:
    outcome = node.sriov("ADD", L2 | {"MTU": 1400}, netns=pod)
    assert outcome.status == 0
    assert "key MTU is taken for mtu" in outcome.stderr
    assert outcome.document["interfaces"][0]["mtu"] == 1400


def test_a_log_file_takes_the_warnings_and_a_level_silences_them(node: Node, pod: str) -> None:
    path = "/var/lib/sriov.log"
    config = L2 | {"logFile": path, "MTU": 1400}
    assert node.sriov("ADD", config, netns=pod).stderr == ""
    assert node.read(path).count("key MTU is taken for mtu") == 1
    quiet = L2 | {"logLevel": "Error", "MTU": 1400}
    assert node.sriov("ADD", quiet, netns=pod, ifname="net2").stderr == ""


DAMAGED = "/var/lib/cni/sriov/0000:01:10.2,pod,net1"  # a record that DEL and GC warn of


@pytest.mark.parametrize("command", ["DEL", "GC"])
def test_what_takes_down_logs_where_the_configuration_says(
    node: Node, pod: str, command: str
) -> None:
    path = "/var/lib/sriov.log"
    config = L2 | {"logFile": path, "cni.dev/valid-attachments": []}
    node.write(DAMAGED, "no record")
    outcome = node.sriov(command, config, netns=pod)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert "damaged" in node.read(path)
    node.write(DAMAGED, "no record")
    quiet = config | {"logFile": None, "logLevel": "panic"}
    assert node.sriov(command, quiet, netns=pod).stderr == ""


@pytest.mark.parametrize("command", ["DEL", "GC"])
@pytest.mark.parametrize("wrong", [{"logLevel": "loud"}, {"logLevel": 1}, {"logFile": "log"}])
def test_a_wrong_log_setting_keeps_nothing_from_being_taken_down(
    node: Node, pod: str, command: str, wrong: Document
) -> None:
    config = L2 | {"cni.dev/valid-attachments": []}
    before = node.state()
    assert node.sriov("ADD", config, netns=pod).status == 0
    outcome = node.sriov(command, config | wrong, netns=pod)
    assert outcome.status == 0
    assert f": invalid {next(iter(wrong))}" in outcome.stderr
    assert node.state() == before


def test_a_wrong_level_does_not_hide_the_log_file(node: Node, pod: str) -> None:
    config = L2 | {"logFile": "/var/lib/sriov.log", "logLevel": "loud"}
    assert node.sriov("DEL", config, netns=pod).stderr == ""
    assert "invalid logLevel" in node.read("/var/lib/sriov.log")

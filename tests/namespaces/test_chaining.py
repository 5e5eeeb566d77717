# SPDX-License-Identifier: Apache-2.0
"""Results of plugins earlier in a chain are passed on, with our own added; logs say what is odd."""

import pytest

from tests.namespaces.node import Node
from tests.namespaces.test_add import L2
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
    assert node.read(path).count("\n") == 1
    quiet = L2 | {"logLevel": "Error", "MTU": 1400}
    assert node.sriov("ADD", quiet, netns=pod, ifname="net2").stderr == ""

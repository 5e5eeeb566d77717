# SPDX-License-Identifier: Apache-2.0
"""The log of real operations: one line each, and at `debug` one for each change in the kernel."""

import json
from typing import Any

import pytest

from tests.networks import DUAL_STACK, L2, keeping
from tests.node import Node
from tests.plugin import Document

LOG = "/var/lib/sriov.log"
LOGGED: Document = {"logFile": LOG}
ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;TOKEN=secret"
VF1 = "pf=eth1 vf=1 pci=0000:01:10.1"
REQUEST = "network=layer2 container=pod pod=default/web-0 interface=net1"


def lines(node: Node) -> list[str]:
    """Return what follows the process's number in each line of the log, without the duration."""
    texts = [line.partition("]: ")[2] for line in node.read(LOG).splitlines()]
    return [" ".join(w for w in t.split(" ") if not w.startswith("duration=")) for t in texts]


def objects(node: Node) -> list[dict[str, Any]]:
    return [json.loads(line) for line in node.read(LOG).splitlines()]


def test_each_operation_has_a_line_with_the_vf(node: Node, pod: str) -> None:
    config = L2 | LOGGED | {"vf": 1, "token": "secret"}
    added = node.sriov("ADD", config, netns=pod, args=ARGS)
    assert (added.status, added.stderr) == (0, "")
    checking = config | {"prevResult": added.document}
    assert node.sriov("CHECK", checking, netns=pod, args=ARGS).stderr == ""
    assert node.sriov("DEL", config, netns=pod, args=ARGS).stderr == ""
    assert node.sriov("STATUS", config).stderr == ""
    assert node.sriov("GC", keeping(config)).stderr == ""
    assert node.sriov("VERSION", config).stderr == ""
    attached = [f"command={name} {REQUEST} {VF1} outcome=ok" for name in ("ADD", "CHECK", "DEL")]
    others = [f"command={name} network=layer2 outcome=ok" for name in ("STATUS", "GC")]
    assert lines(node) == attached + others
    assert "secret" not in node.read(LOG)


def test_a_vf_that_was_chosen_is_named(node: Node, pod: str) -> None:
    assert node.sriov("ADD", L2 | LOGGED, netns=pod).status == 0
    assert "pf=eth1 vf=0 pci=0000:01:10.0 outcome=ok" in lines(node)[0]


def test_json_has_numbers_and_the_warnings(node: Node, pod: str) -> None:
    config = L2 | LOGGED | {"vf": 1, "MTU": 1400, "logFormat": "JSON"}
    assert node.sriov("ADD", config, netns=pod).status == 0
    warning, added = objects(node)
    assert warning["msg"] == "key MTU is taken for mtu: correct its spelling"
    assert [warning["level"], added["level"]] == ["warning", "info"]
    assert (added["pf"], added["vf"], added["outcome"]) == ("eth1", 1, "ok")
    assert added["duration"].removesuffix("ms").isdigit()


def test_a_failure_has_its_code_and_the_vf(node: Node, pod: str) -> None:
    config = L2 | LOGGED | {"vf": 1, "logFormat": "json"}
    node.run("ip", "addr", "add", "192.0.2.1/24", "dev", "eth1v1")
    outcome = node.sriov("ADD", config, netns=pod)
    assert (outcome.code, outcome.stderr) == (102, "")
    (line,) = objects(node)
    assert (line["level"], line["outcome"], line["code"]) == ("error", "error", 102)
    assert (line["msg"], line["details"]) == (outcome.document["msg"], outcome.document["details"])
    assert (line["pf"], line["vf"], line["pci"]) == ("eth1", 1, "0000:01:10.1")


def test_fixipam_within_sriov_has_no_line_of_its_own(node: Node, pod: str) -> None:
    assert node.sriov("ADD", DUAL_STACK | LOGGED, netns=pod).status == 0
    assert node.sriov("DEL", DUAL_STACK | LOGGED, netns=pod).status == 0
    assert [line.partition(" ")[0] for line in lines(node)] == ["command=ADD", "command=DEL"]


ADDED = [
    "setting the MAC of eth1v1 to 66:d8:02:77:aa:aa",
    "setting the MTU of eth1v1 to 1400",
    "moving eth1v1 to another network namespace as net1 and up",
    "writing 1 to /proc/sys/net/ipv4/conf/net1/arp_notify",
    "adding address 10.1.0.5/24 to net1",
    "adding address fd00:1::5/64 to net1",
    "adding route 0.0.0.0/0 via 10.1.0.1 through net1",
]
DELETED = [
    "moving net1 to another network namespace as eth1v1",
    "setting the MTU of eth1v1 to 1500",
]


def test_debug_shows_every_change_in_the_kernel(node: Node, pod: str) -> None:
    config = DUAL_STACK | LOGGED | {"vf": 1, "mtu": 1400, "logLevel": "debug"}
    config["mac"] = "66:d8:02:77:aa:aa"
    for command, changes in (("ADD", ADDED), ("DEL", DELETED)):
        assert node.sriov(command, config, netns=pod).status == 0
        found = lines(node)
        node.write(LOG, "")
        assert [line for line in found if line in changes] == changes
        assert found[-1].startswith(f"command={command} ")
        assert all(
            line.startswith(("setting ", "moving ", "adding ", "wri")) for line in found[:-1]
        )


def test_debug_shows_what_was_refused(node: Node, pod: str) -> None:
    node.run_in_pod("pod", "ip link set lo up; ip route add 10.9.0.0/16 dev lo")
    config = DUAL_STACK | LOGGED | {"logLevel": "debug"}
    assert node.sriov("ADD", config, netns=pod).code == 7
    refusal = "adding route 10.9.0.0/16 via 10.1.0.9 through net1: File exists (EEXIST)"
    assert [line for line in lines(node) if line.startswith(refusal)]


@pytest.mark.parametrize("level", ["debug", "info"])
def test_without_a_file_only_debug_is_heard(node: Node, pod: str, level: str) -> None:
    heard = node.sriov("ADD", L2 | {"logLevel": level}, netns=pod).stderr
    assert ("moving eth1v0" in heard, "command=ADD" in heard) == (level == "debug",) * 2


def test_a_log_that_is_rotated_goes_on_in_a_new_file(node: Node, pod: str) -> None:
    assert node.sriov("ADD", L2 | LOGGED, netns=pod).status == 0
    node.run("mv", LOG, f"{LOG}.1")
    assert node.sriov("DEL", L2 | LOGGED, netns=pod).status == 0
    assert [line.partition(" ")[0] for line in lines(node)] == ["command=DEL"]


def test_a_wrong_format_is_an_error_and_keeps_nothing_from_being_taken_down(
    node: Node, pod: str
) -> None:
    wrong = L2 | LOGGED | {"logFormat": "xml"}
    before = node.state()
    refused = node.sriov("ADD", wrong, netns=pod)
    assert (refused.code, refused.document["msg"]) == (7, "invalid logFormat")
    assert node.sriov("ADD", L2, netns=pod).status == 0
    assert node.sriov("DEL", wrong, netns=pod).status == 0
    assert node.state() == before
    assert [line.partition(":")[0] for line in lines(node)][1] == "invalid logFormat"
    assert "code=7" in lines(node)[0]

# SPDX-License-Identifier: Apache-2.0
"""IPAM by delegation: Debian's own plugins, and some of a few lines that do what plugins may do."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.networks import L2, WRITTEN, keeping
from tests.node import Node
from tests.plugin import DEBIANS, Document, wait_for, write_plugin

POOL: Document = {
    "type": "host-local",
    "ranges": [[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.1"}]],
    "routes": [{"dst": "0.0.0.0/0"}],
}

ANSWER = {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.5/24"}]}
ERROR = {
    "cniVersion": "1.1.0",
    "code": 142,
    "msg": "out of stock",
    "details": "come back on Monday",
}


def calls(directory: Path) -> list[str]:
    """Return the commands the written plugin was called with."""
    return (directory / "calls").read_text().split()


def answering(document: object) -> str:
    """Return the script that answers ADD with a document."""
    return f"[ $CNI_COMMAND != ADD ] || echo '{json.dumps(document)}'"


def test_host_locals_pool_gives_and_takes_back(node: Node, pod: str) -> None:
    before = node.state()
    config = L2 | {"cniVersion": "1.0.0", "ipam": POOL}
    added = node.sriov("ADD", config, netns=pod, path=DEBIANS).document
    assert added["ips"] == [{"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 0}]
    assert node.net1()["addr_info"][0]["local"] == "10.1.0.2"
    assert node.routes() == {("default", "10.1.0.1")}
    assert "10.1.0.2" in node.files("/var/lib/cni/networks/layer2")
    checked = config | {"prevResult": added}
    assert node.sriov("CHECK", checked, netns=pod, path=DEBIANS).status == 0
    os.unlink(node.path("/var/lib/cni/networks/layer2/10.1.0.2"))
    assert "Failed to find" in node.sriov("CHECK", checked, netns=pod, path=DEBIANS).said
    assert node.sriov("DEL", config, netns=pod, path=DEBIANS).status == 0
    assert "10.1.0.2" not in node.files("/var/lib/cni/networks/layer2")
    assert node.state() == before


def test_static_takes_the_address_from_cni_args(node: Node, pod: str) -> None:
    before = node.state()
    config = L2 | {"cniVersion": "0.4.0", "ipam": {"type": "static"}}
    args = "IgnoreUnknown=1;IP=10.1.0.5/24,fd00:1::5/64;GATEWAY=10.1.0.1"
    added = node.sriov("ADD", config, netns=pod, args=args, path=DEBIANS).document
    assert added["ips"] == [
        {"version": "4", "address": "10.1.0.5/24", "gateway": "10.1.0.1", "interface": 0},
        {"version": "6", "address": "fd00:1::5/64", "interface": 0},
    ]
    assert {"10.1.0.5", "fd00:1::5"} <= {a["local"] for a in node.net1()["addr_info"]}
    assert node.sriov("DEL", config, netns=pod, path=DEBIANS).status == 0
    assert node.state() == before


@pytest.fixture
def dhcp(node: Node) -> Document:
    """A network whose addresses come from a DHCP server on VF 0's link; it has only one to give."""
    node.run("ip", "addr", "add", "10.1.0.1/24", "dev", "eth1v0p")
    node.run("ip", "link", "set", "eth1v0p", "up")
    settings = {
        "interface": "eth1v0p",
        "start": "10.1.0.5",
        "end": "10.1.0.5",
        "lease_file": "/var/lib/leases",
        "pidfile": "/var/lib/pid",
        "option subnet": "255.255.255.0",
        "option router": "10.1.0.1",
    }
    lines = "".join(f"{key} {value}\n" for key, value in settings.items())
    node.write("/var/lib/udhcpd.conf", lines)
    node.write("/var/lib/leases", "")
    cache = os.environ.get("SRIOV_CNI_CACHE") or os.path.expanduser("~/.cache/sriov-cni")
    node.start(f"{cache}/busybox", "udhcpd", "-f", "-a", "10", "/var/lib/udhcpd.conf")
    socket = "/var/lib/dhcp.sock"
    node.start(f"{DEBIANS}/dhcp", "daemon", "-socketpath", socket)
    wait_for(lambda: os.path.exists(node.path(socket)))
    ipam = {"type": "dhcp", "daemonSocketPath": socket}
    return L2 | {"cniVersion": "1.0.0", "vf": 0, "ipam": ipam}


def test_dhcp_leases_an_address_and_gives_it_back_to_the_server(
    node: Node, pod: str, dhcp: Document
) -> None:
    before = node.state()
    for mac in ("66:d8:02:77:aa:aa", "66:d8:02:77:aa:bb"):
        added = node.sriov("ADD", dhcp, netns=pod, args=f"MAC={mac}", path=DEBIANS)
        assert added.status == 0, added.said
        assert [ip["address"] for ip in added.document["ips"]] == ["10.1.0.5/24"]
        assert ("default", "10.1.0.1") in node.routes()
        checked = dhcp | {"prevResult": added.document}
        assert node.sriov("CHECK", checked, netns=pod, path=DEBIANS).status == 0
        assert node.sriov("DEL", dhcp, netns=pod, path=DEBIANS).status == 0
        assert node.state() == before


def test_a_version_that_only_the_ipam_plugin_does_not_know_is_its_error(
    node: Node, pod: str
) -> None:
    before = node.state()
    outcome = node.sriov("ADD", L2 | {"ipam": POOL}, netns=pod, path=DEBIANS)
    assert outcome.code == 1
    assert 'config is "1.1.0", plugin supports' in outcome.said
    assert node.state() == before


@pytest.mark.parametrize(
    ("ipam", "version", "args", "code"),
    [
        (POOL, "1.1.0", "", 1),  # Debian's host-local knows versions up to 1.0.0
        (POOL, "1.0.0", "VF=0", 999),  # and no key of CNI_ARGS but its own
        ({"type": "not-there"}, "1.0.0", "", 7),
        ({"type": "written"}, "1.0.0", "", 106),
    ],
    ids=["version", "CNI_ARGS", "not installed", "broken"],
)
def test_a_plugin_that_granted_nothing_keeps_no_del_failing(
    node: Node, pod: str, tmp_path: Path, ipam: Document, version: str, args: str, code: int
) -> None:
    before = node.state()
    path = f"{DEBIANS}:{write_plugin(tmp_path, 'exit 1')}"
    config = L2 | {"cniVersion": version, "ipam": ipam}
    added = node.sriov("ADD", config, netns=pod, args=args, path=path)
    assert added.code == code, added
    assert node.state() == before
    for _ in range(2):
        deleted = node.sriov("DEL", config, netns=pod, args=args, path=path)
        assert (deleted.status, deleted.document) == (0, {})
        assert "warning" in deleted.stderr
        assert node.state() == before


@pytest.mark.parametrize("granted", [False, True])
def test_an_add_killed_before_its_plugin_granted_anything_can_be_deleted(
    node: Node, pod: str, tmp_path: Path, granted: bool
) -> None:
    """Whether it did is in the record: what may be leased still is an error, until it is not."""
    before = node.state()
    answer = f"[ $CNI_COMMAND != ADD ] || {{ echo '{json.dumps(ANSWER)}'; exit; }}"
    path = write_plugin(tmp_path, f"{answer if granted else 'exec sleep 60'}\nexit 1")
    running = node.sriov.start("ADD", WRITTEN, netns=pod, path=path)
    wait_for((tmp_path / "calls").exists)
    if granted:
        assert running.outcome().status == 0
    else:
        running.process.kill()
        running.process.wait()
    write_plugin(tmp_path, "exit 1")
    deleted = node.sriov("DEL", WRITTEN, netns=pod, path=path)
    assert deleted.code == (106 if granted else 0), deleted
    assert node.state()["links"] == before["links"]
    if granted:
        assert node.state()["records"] == ["returned,pod,net1"]
        write_plugin(tmp_path, "")
        assert node.sriov("DEL", WRITTEN, netns=pod, path=path).status == 0
    assert node.state() == before


ROUTES = [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.9"}, {"dst": "::/0"}]
FAMILIES: Document = {
    "ip4": {"ip": "10.1.0.5/24", "gateway": "10.1.0.1", "routes": ROUTES[:2]},
    "ip6": {"ip": "fd00:1::5/64", "gateway": "fd00:1::1", "routes": ROUTES[2:]},
}
VERSIONED: Document = {
    "ips": [
        {"version": "4", "address": "10.1.0.5/24", "gateway": "10.1.0.1"},
        {"version": "6", "address": "fd00:1::5/64", "gateway": "fd00:1::1"},
    ],
    "routes": ROUTES,
}
CURRENT: Document = {
    "ips": [
        {"address": "10.1.0.5/24", "gateway": "10.1.0.1"},
        {"address": "fd00:1::5/64", "gateway": "fd00:1::1"},
    ],
    "routes": ROUTES,
}


@pytest.mark.parametrize(
    ("version", "shape"),
    [
        ("0.1.0", FAMILIES),
        ("0.2.0", FAMILIES),
        ("0.3.0", VERSIONED),
        ("0.3.1", VERSIONED),
        ("0.4.0", VERSIONED),
        ("1.0.0", CURRENT),
        ("1.1.0", CURRENT),
    ],
)
def test_results_of_every_version_mean_the_same(
    node: Node, pod: str, tmp_path: Path, version: str, shape: Document
) -> None:
    dns = {"nameservers": ["10.1.0.53"], "domain": "example.com"}
    path = write_plugin(tmp_path, answering({"cniVersion": version, **shape, "dns": dns}))
    document = node.sriov("ADD", WRITTEN, netns=pod, path=path).document
    del document["interfaces"]
    ips = [ip | {"interface": 0} for ip in CURRENT["ips"]]
    assert document == {"cniVersion": "1.1.0", "ips": ips, "routes": ROUTES, "dns": dns}
    assert {"10.1.0.5", "fd00:1::5"} <= {a["local"] for a in node.net1()["addr_info"]}
    assert node.routes() == {("default", "10.1.0.1"), ("10.9.0.0/16", "10.1.0.9")}
    assert node.routes("-6") == {("default", "fd00:1::1")}


def test_every_command_but_version_is_delegated(node: Node, pod: str, tmp_path: Path) -> None:
    path = write_plugin(tmp_path, answering(ANSWER))
    assert node.sriov("VERSION", {"cniVersion": "1.1.0"}, path=path).status == 0
    assert node.sriov("STATUS", WRITTEN, path=path).status == 0
    added = node.sriov("ADD", WRITTEN, netns=pod, path=path)
    checked = WRITTEN | {"prevResult": added.document}
    assert node.sriov("CHECK", checked, netns=pod, path=path).status == 0
    assert node.sriov("GC", keeping(WRITTEN, "pod"), path=path).status == 0
    assert node.sriov("DEL", WRITTEN, netns=pod, path=path).status == 0
    assert calls(tmp_path) == ["STATUS", "ADD", "CHECK", "GC", "DEL"]


def test_gc_has_ipam_release_each_lost_attachment_before_its_own_gc(
    node: Node, tmp_path: Path
) -> None:
    path = write_plugin(tmp_path, answering(ANSWER))
    for name in ("kept", "lost"):
        netns = node.add_pod(name)
        assert node.sriov("ADD", WRITTEN, container=name, netns=netns, path=path).status == 0
    assert node.sriov("GC", keeping(WRITTEN, "kept"), path=path).status == 0
    assert calls(tmp_path) == ["ADD", "ADD", "DEL", "GC"]


def test_the_plugin_gets_the_call_as_it_came(node: Node, pod: str, tmp_path: Path) -> None:
    record = "env >environment; cat >stdin; echo noted >&2"
    path = write_plugin(tmp_path, f"{record}; {answering(ANSWER)}")
    extra = {"unknown": {"to": ["sriov"]}, "args": {"cni": {"ips": ["10.1.0.5"]}}}
    args = "IgnoreUnknown=1;VF=2;MINE=yes"
    added = node.sriov("ADD", WRITTEN | extra, netns=pod, args=args, path=path)
    assert added.stderr == "noted\n"
    assert json.loads((tmp_path / "stdin").read_text()) == WRITTEN | extra
    environment = (tmp_path / "environment").read_text().splitlines()
    assert sorted(line for line in environment if line.startswith("CNI_")) == [
        f"CNI_ARGS={args}",
        "CNI_COMMAND=ADD",
        "CNI_CONTAINERID=pod",
        "CNI_IFNAME=net1",
        f"CNI_NETNS={pod}",
        f"CNI_PATH={path}",
    ]


def test_a_failing_plugins_own_error_is_passed_on_unchanged(
    node: Node, pod: str, tmp_path: Path
) -> None:
    before = node.state()
    path = write_plugin(
        tmp_path, f"[ $CNI_COMMAND = DEL ] || {{ echo '{json.dumps(ERROR)}'; exit 7; }}"
    )
    assert node.sriov("STATUS", WRITTEN, path=path).document == ERROR
    assert node.sriov("ADD", WRITTEN, netns=pod, path=path).document == ERROR
    assert calls(tmp_path) == ["STATUS", "ADD", "DEL"]
    assert node.state() == before


def test_a_failing_check_and_del_are_passed_on_unchanged_and_the_del_can_be_repeated(
    node: Node, pod: str, tmp_path: Path
) -> None:
    before = node.state()
    path = write_plugin(tmp_path, answering(ANSWER))
    added = node.sriov("ADD", WRITTEN, netns=pod, path=path)
    checked = WRITTEN | {"prevResult": added.document}
    write_plugin(tmp_path, f"echo '{json.dumps(ERROR)}'; exit 1")
    assert node.sriov("CHECK", checked, netns=pod, path=path).document == ERROR
    assert node.sriov("DEL", WRITTEN, netns=pod, path=path).document == ERROR
    assert node.state()["links"] == before["links"]
    write_plugin(tmp_path, "")
    assert node.sriov("DEL", WRITTEN, netns=pod, path=path).status == 0
    assert node.state() == before


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 3", "written failed with exit status 3"),
        ("echo oh no; exit 3", "written failed with exit status 3"),
        ("kill -9 $$", "written failed with signal 9"),
        ("echo garbage", "the output of written is not JSON"),
        ("true", "the output of written is not JSON"),
        ("echo '[]'", "the output of written is not a JSON object"),
        ("yes", "the output of written is too large"),
        ("""echo '{"cniVersion": "9.9.9"}'""", "cniVersion is '9.9.9'"),
        (
            """echo '{"cniVersion": "1.1.0", "ips": [{"address": "x"}]}'""",
            "written: ips[0].address",
        ),
    ],
)
def test_a_plugin_that_breaks_the_rules_is_named_and_nothing_is_lost(
    node: Node, pod: str, tmp_path: Path, script: str, words: str
) -> None:
    before = node.state()
    path = write_plugin(tmp_path, f"[ $CNI_COMMAND != ADD ] || {{ {script}; }}")
    outcome = node.sriov("ADD", WRITTEN, netns=pod, path=path)
    assert outcome.code == 106
    assert words in outcome.said
    assert calls(tmp_path) == ["ADD", "DEL"]
    assert node.state() == before


def test_what_ipam_gave_is_released_when_the_pod_cannot_have_it(
    node: Node, pod: str, tmp_path: Path
) -> None:
    before = node.state()
    twice = [{"dst": "10.2.0.0/16", "gw": "10.1.0.1"}] * 2
    path = write_plugin(tmp_path, answering(ANSWER | {"routes": twice}))
    assert "already has a route" in node.sriov("ADD", WRITTEN, netns=pod, path=path).said
    assert calls(tmp_path) == ["ADD", "DEL"]
    assert node.state() == before


def test_a_slow_plugin_is_waited_for_and_holds_nobody_up(
    node: Node, pod: str, tmp_path: Path
) -> None:
    wait = "while [ $CNI_COMMAND = ADD ] && [ ! -e go ]; do sleep 0.05; done"
    path = write_plugin(tmp_path, f"{wait}; {answering(ANSWER)}")
    slow = node.sriov.start("ADD", WRITTEN, netns=pod, path=path)
    wait_for((tmp_path / "calls").exists)
    other = node.sriov("ADD", L2, container="other", netns=node.add_pod("other"))
    assert other.document["interfaces"][0]["pciID"] == "0000:01:10.1"
    assert slow.process.poll() is None
    (tmp_path / "go").touch()
    assert slow.outcome().document["interfaces"][0]["pciID"] == "0000:01:10.0"


def test_a_vf_is_the_next_pods_only_when_a_slow_del_is_done_with_it(
    node: Node, pod: str, tmp_path: Path
) -> None:
    wait = "while [ $CNI_COMMAND = DEL ] && [ ! -e go ]; do sleep 0.05; done"
    path = write_plugin(tmp_path, f"{wait}; {answering(ANSWER)}")
    assert node.sriov("ADD", WRITTEN, netns=pod, args="VF=0", path=path).status == 0
    slow = node.sriov.start("DEL", WRITTEN, netns=pod, path=path)
    wait_for(lambda: calls(tmp_path) == ["ADD", "DEL"])
    other = {"container": "other", "netns": node.add_pod("other"), "args": "VF=0"}
    refused = node.sriov("ADD", L2, **other)
    assert (refused.code, refused.document["msg"]) == (11, "VF 0 of eth1 is busy")
    waiting = node.sriov.start("ADD", L2, **other)
    (tmp_path / "go").touch()
    assert slow.outcome().status == 0
    added = waiting.outcome()
    assert added.document["interfaces"][0]["pciID"] == "0000:01:10.0"
    assert node.state()["records"] == ["0000:01:10.0,other,net1"]
    checked = L2 | {"prevResult": added.document}
    assert node.sriov("DEL", WRITTEN, netns=pod, path=path).status == 0
    assert node.sriov("CHECK", checked, container="other", netns=other["netns"]).status == 0


def test_an_add_killed_while_its_plugin_works_is_undone_by_del(
    node: Node, pod: str, tmp_path: Path
) -> None:
    before = node.state()
    path = write_plugin(tmp_path, "[ $CNI_COMMAND != ADD ] || exec sleep 1")
    killed = node.sriov.start("ADD", WRITTEN, netns=pod, path=path)
    wait_for((tmp_path / "calls").exists)
    killed.process.kill()
    killed.process.wait()
    assert node.state() != before
    assert node.sriov("DEL", WRITTEN, netns=pod, path=path).status == 0
    assert calls(tmp_path) == ["ADD", "DEL"]
    assert node.state() == before


def executed(trace: Path) -> list[str]:
    """Return the programs that strace saw executed."""
    lines = trace.read_text().splitlines()
    return [line.split('"')[1] for line in lines if "execve(" in line and line.endswith(" = 0")]


def test_fixipam_is_no_second_process_and_any_other_plugin_is_one(
    node: Node, pod: str, tmp_path: Path
) -> None:
    for wire in ("eth1v0p", "eth1v1p"):  # with carrier, nothing is left to announce later
        node.run("ip", "link", "set", wire, "up")
    path = write_plugin(tmp_path, answering(ANSWER))
    os.link(f"{path}/written", f"{path}/fixipam")
    trace, python = tmp_path / "trace", os.path.basename(sys.executable)
    traced = node.sriov.within("strace", "-f", "-qq", "-e", "trace=execve", "-o", str(trace))
    built_in = L2 | {"ipam": {"type": "fixipam", "subnet": "10.2.0.0/24"}}
    assert traced("ADD", built_in, netns=pod, args="IP=10.2.0.5", path=path).status == 0
    assert [os.path.basename(program) for program in executed(trace)] == ["nsenter", python]
    assert traced("ADD", WRITTEN, netns=pod, ifname="net2", path=path).status == 0
    assert executed(trace)[2:] == [f"{path}/written"]

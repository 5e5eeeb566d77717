# SPDX-License-Identifier: Apache-2.0
"""First in a chain: Debian's meta plugins work on our result, and leave a VF that can go home."""

import json
import subprocess
from collections.abc import Callable

import pytest

from tests import card
from tests.lab.runtime import Cnitool
from tests.plugin import Document, run, run_json

pytestmark = pytest.mark.usefixtures("unchanged")

SRIOV: Document = {
    "type": "sriov",
    "master": "eth0",
    "vf": 3,
    "vlan": 100,
    "mac": "66:d8:02:77:aa:aa",
    "args": {"cni": {"ips": ["10.8.0.5"]}},
    "ipam": {
        "type": "fixipam",
        "subnet": "10.8.0.0/24",
        "gateway": "10.8.0.1",
        "routes": [{"dst": "10.9.0.0/16"}],
    },
}
OURS: Document = {
    "cniVersion": "1.0.0",
    "interfaces": [{"name": "net1", "mac": "66:d8:02:77:aa:aa", "sandbox": "/run/netns/pod"}],
    "ips": [{"address": "10.8.0.5/24", "gateway": "10.8.0.1", "interface": 0}],
    "routes": [{"dst": "10.9.0.0/16"}],
}
SETTING = "net.ipv4.conf.net1.arp_announce"
TUNING: Document = {"type": "tuning", "mtu": 1400, "promisc": True, "sysctl": {SETTING: "2"}}
SBR: Document = {"type": "sbr"}
RATES = {f"{way}{what}": 1_000_000 for way in ("ingress", "egress") for what in ("Rate", "Burst")}

Run = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def chained(cnitool: Cnitool, pods: Callable[[str], str]) -> Callable[..., Run]:
    """Make a network of sriov and other plugins; return how to run commands on it in a pod."""

    def make(*plugins: Document, version: str = "1.0.0") -> Run:
        chain = {"cniVersion": version, "name": "chain", "plugins": [SRIOV, *plugins]}
        cnitool.configure(chain)
        pod = pods("pod")
        return lambda command: cnitool(command, "chain", pod)

    return make


def served(done: "subprocess.CompletedProcess[str]") -> Document:
    """Return the result a command that succeeded has printed, empty if none."""
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout or "{}")
    assert isinstance(document, dict)
    return document


def assert_tuned() -> None:
    """Assert that the pod's interface is as TUNING wants it."""
    link = card.pod_link("pod")
    assert (link["mtu"], link["promiscuity"]) == (1400, 1)
    path = f"/proc/sys/{SETTING.replace('.', '/')}"
    assert run("ip", "netns", "exec", "pod", "cat", path) == "2\n"


def assert_routed_by_source() -> None:
    """Assert that what comes from the interface's address is routed by a table of its own."""
    (rule,) = [r for r in run_json("ip", "-j", "-n", "pod", "rule") if r["src"] != "all"]
    assert rule["src"] == "10.8.0.5"
    table = run_json("ip", "-j", "-n", "pod", "route", "show", "table", rule["table"])
    routes = {(route["dst"], route.get("gateway")) for route in table}
    assert {("default", "10.8.0.1"), ("10.9.0.0/16", "10.8.0.1")} <= routes


def test_tuning_sets_the_vfs_mtu_and_sysctls(chained: Callable[..., Run]) -> None:
    run_chain = chained(TUNING)
    assert served(run_chain("add")) == OURS
    assert_tuned()
    served(run_chain("check"))
    served(run_chain("del"))


def test_sbr_moves_our_routes_to_a_table_of_its_own(chained: Callable[..., Run]) -> None:
    run_chain = chained(SBR)
    assert served(run_chain("add")) == OURS
    assert_routed_by_source()
    served(run_chain("check"))
    served(run_chain("del"))


def test_bandwidth_passes_a_vf_on_that_it_has_no_rates_for(chained: Callable[..., Run]) -> None:
    run_chain = chained({"type": "bandwidth", "capabilities": {"bandwidth": True}})
    assert served(run_chain("add")) == OURS
    served(run_chain("del"))


def test_bandwidth_refuses_rates_for_a_vf_and_nothing_is_lost(chained: Callable[..., Run]) -> None:
    # It shapes the host's end of a veth pair, which a VF does not have: max_tx_rate is for VFs.
    run_chain = chained({"type": "bandwidth"} | RATES)
    failed = run_chain("add")
    assert (failed.returncode, "no veth peer" in failed.stdout + failed.stderr) == (1, True)
    served(run_chain("del"))


def test_all_of_them_in_one_chain(chained: Callable[..., Run]) -> None:
    run_chain = chained(TUNING, SBR, {"type": "bandwidth"}, version="0.4.0")
    added = served(run_chain("add"))
    assert added["interfaces"] == OURS["interfaces"]
    assert added["ips"] == [ip | {"version": "4"} for ip in OURS["ips"]]
    assert_tuned()
    assert_routed_by_source()
    # Asked last, bandwidth looks for the veth peer even without rates: the others had no complaint.
    checked = run_chain("check")
    assert "container interface net1 has no veth peer" in checked.stdout + checked.stderr
    served(run_chain("del"))

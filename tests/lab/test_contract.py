# SPDX-License-Identifier: Apache-2.0
"""The network that started it all, word for word, with the installed executables."""

from collections.abc import Callable

import pytest

from tests import card
from tests.lab.runtime import INSTALLED
from tests.networks import MYNET, MYNET_ARGS
from tests.plugin import Plugin, run, run_json

pytestmark = pytest.mark.usefixtures("unchanged")


def test_the_contracts_network_is_served(sriov: Plugin, pods: Callable[[str], str]) -> None:
    pod = pods("pod")
    outcome = sriov("ADD", MYNET, netns=pod, args=MYNET_ARGS)
    assert outcome.document == {
        "cniVersion": "0.1.0",
        "ip4": {
            "ip": "10.55.206.46/26",
            "gateway": "10.55.206.1",
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    assert outcome.stderr == ""
    link = card.pod_link("pod")
    assert link["address"] == "66:d8:02:77:aa:aa"
    assert link["parentdev"] == card.vf_address("eth1", 1)
    assert [
        (address["local"], address["prefixlen"])
        for address in link["addr_info"]
        if address["family"] == "inet"
    ] == [("10.55.206.46", 26)]
    (default,) = run_json("ip", "-j", "-n", "pod", "route", "show", "default")
    assert (default["gateway"], default["dev"]) == ("10.55.206.1", "net1")
    assert card.vlan("eth1", 1) == 100
    assert card.administrative_mac("eth1", 1) == "66:d8:02:77:aa:aa"
    assert sriov("DEL", MYNET, netns=pod, args=MYNET_ARGS).status == 0


def test_fixipam_is_an_executable_of_its_own() -> None:
    fixipam = Plugin(f"{INSTALLED}/fixipam")
    outcome = fixipam("ADD", MYNET, netns="/run/netns/any", args="IP=10.55.206.46")
    assert outcome.document["ip4"]["ip"] == "10.55.206.46/26"
    assert fixipam("DEL", MYNET).status == 0


def test_the_guest_runs_what_was_frozen() -> None:
    with open(f"{INSTALLED}/sriov", "rb") as file:
        assert file.read(4) == b"\x7fELF"


def test_the_guest_mounts_run_as_a_node_does() -> None:
    """Debian's and Ubuntu's initramfs-tools do (init: mount -t tmpfs -o nodev,noexec,nosuid)."""
    options = run("findmnt", "--noheadings", "--output", "OPTIONS", "/run").strip().split(",")
    assert {"nodev", "noexec", "nosuid"} <= set(options)

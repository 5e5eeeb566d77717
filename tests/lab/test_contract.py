# SPDX-License-Identifier: Apache-2.0
"""The network that started it all, word for word, with both layouts of the frozen executable."""

import os
from collections.abc import Callable

import pytest

from tests.lab import card
from tests.lab.runtime import LAYOUTS
from tests.plugin import MYNET, MYNET_ARGS, Plugin, run, run_json

pytestmark = pytest.mark.usefixtures("unchanged")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_contracts_network_is_served(layout: str, pods: Callable[[str], str]) -> None:
    sriov = Plugin(f"{LAYOUTS[layout]}/sriov")
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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fixipam_is_an_executable_of_its_own(layout: str) -> None:
    fixipam = Plugin(f"{LAYOUTS[layout]}/fixipam")
    outcome = fixipam("ADD", MYNET, netns="/run/netns/any", args="IP=10.55.206.46")
    assert outcome.document["ip4"]["ip"] == "10.55.206.46/26"
    assert fixipam("DEL", MYNET).status == 0


def test_the_installed_link_runs_the_bundle(tmp_path: os.PathLike[str]) -> None:
    run("make", "--silent", "install", f"DESTDIR={tmp_path}")
    for name in ("sriov", "fixipam"):
        path = f"{tmp_path}/opt/cni/bin/{name}"
        assert os.path.islink(path)
        outcome = Plugin(path)("VERSION", {"cniVersion": "1.1.0"})
        assert "0.1.0" in outcome.document["supportedVersions"]


def test_the_guest_runs_what_was_frozen(sriov: Plugin) -> None:
    with open(f"{LAYOUTS['one-dir']}/sriov", "rb") as file:
        assert file.read(4) == b"\x7fELF"

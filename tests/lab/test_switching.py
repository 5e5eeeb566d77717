# SPDX-License-Identifier: Apache-2.0
"""A node that ran the Go plugin, on real drivers: what that attached is taken down here.

The Go plugin itself is not at hand: the module proxy does not give it. What its ADD does to a VF
(pkg/sriov/sriov.go of k8snetworkplumbingwg/sriov-cni 2.10) is done here step by step with ip.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import card, goplugin
from tests.plugin import DEBIANS, Document, Plugin, run, run_json

VF = 2
WANTED: Document = {
    "mac": "66:d8:02:77:dd:01",
    "vlan": 100,
    "vlanQoS": 3,
    "spoofchk": "off",
    "trust": "on",
    "max_tx_rate": 100,
}
HOST_LOCAL = Plugin(f"{DEBIANS}/host-local")


class Switched:
    """A network on VF 2 of eth0 that the Go plugin served, with addresses from host-local."""

    def __init__(self, leases: Path) -> None:
        self.leases = leases
        self.address = card.vf_address("eth0", VF)
        ipam = {"type": "host-local", "dataDir": str(leases), "subnet": "10.9.0.0/24"}
        network: Document = {"cniVersion": "1.0.0", "name": "switched", "type": "sriov"}
        self.config = network | WANTED | {"deviceID": self.address, "ipam": ipam}

    def attach(self, container: str, pod: str) -> None:
        """Do what an ADD of the Go plugin does."""
        info, names = card.vf_info("eth0", VF), self.vf_names()
        (link,) = run_json("ip", "-j", "link", "show", "dev", names[0]) if names else ({},)
        state = goplugin.vf_state(
            link.get("ifname", ""),
            link.get("address", ""),
            MTU=link.get("mtu", 0),
            AdminMAC=info["address"],
            SpoofChk=info["spoofchk"],
            Trust=info["trust"],
            MaxTxRate=info["rate"]["max_tx"],
        )
        set_vf = ("ip", "link", "set", "eth0", "vf", str(VF))
        run(*set_vf, "vlan", "100", "qos", "3")
        run(*set_vf, "mac", WANTED["mac"])
        run(*set_vf, "max_tx_rate", "100")
        run(*set_vf, "spoofchk", "off")
        run(*set_vf, "trust", "on")
        if names:
            name = os.path.basename(pod)
            run("ip", "link", "set", names[0], "netns", name, "name", "net1")
            for change in (("address", WANTED["mac"]), ("up",)):
                run("ip", "-n", name, "link", "set", "net1", *change)
        ipam = HOST_LOCAL.start("ADD", self.config, container=container, netns=pod)
        assert ipam.process.wait(60) == 0
        os.makedirs(f"{goplugin.DIRECTORY}/pci", exist_ok=True)
        cached = goplugin.cache(self.config, "eth0", VF, state)
        Path(f"{goplugin.DIRECTORY}/{container}-net1").write_text(json.dumps(cached))
        Path(f"{goplugin.DIRECTORY}/pci/{self.address}").write_text(pod)

    def vf_names(self) -> list[str]:
        """Return the names of the VF's devices on the host: one, or none."""
        directory = f"/sys/bus/pci/devices/{self.address}/net"
        return os.listdir(directory) if os.path.isdir(directory) else []

    def leased(self) -> list[str]:
        """Return the addresses that host-local has given away."""
        return [name for name in card.files(str(self.leases)) if name.startswith("10.")]


@pytest.fixture
def switched(tmp_path: Path) -> Switched:
    """The network, nothing attached."""
    return Switched(tmp_path / "leases")


def delete(sriov: Plugin, config: Document, **attachment: str) -> None:
    outcome = sriov("DEL", config, path=DEBIANS, **attachment)
    assert (outcome.status, outcome.stderr) == (0, ""), outcome.said


@pytest.mark.usefixtures("unchanged")
def test_del_takes_down_what_the_go_plugin_attached(
    sriov: Plugin, pods: Callable[[str], str], switched: Switched
) -> None:
    pod = pods("pod")
    switched.attach("pod", pod)
    assert (card.vlan("eth0", VF), card.pod_link("pod")["address"]) == (100, WANTED["mac"])
    assert len(switched.leased()) == 1
    delete(sriov, switched.config, netns=pod)
    assert switched.leased() == []


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("netns", ["/run/netns/pod", ""])
def test_del_restores_the_vf_after_the_namespace_died(
    sriov: Plugin, pods: Callable[[str], str], switched: Switched, netns: str
) -> None:
    switched.attach("pod", pods("pod"))
    run("ip", "netns", "delete", "pod")
    delete(sriov, switched.config, netns=netns)
    assert switched.leased() == []


@pytest.mark.usefixtures("unchanged")
def test_an_add_restores_a_vf_whose_del_never_came(
    sriov: Plugin, pods: Callable[[str], str], switched: Switched
) -> None:
    switched.attach("dead", pods("dead"))
    run("ip", "netns", "delete", "dead")
    while not switched.vf_names():  # until the kernel has brought it home
        pass
    l2 = {"cniVersion": "1.1.0", "name": "l2", "type": "sriov", "deviceID": switched.address}
    added = sriov("ADD", l2, container="next", netns=pods("next"))
    assert added.status == 0, added.said
    assert "was lost by interface net1 of container dead" in added.stderr
    info = card.vf_info("eth0", VF)
    assert (card.vlan("eth0", VF), info["spoofchk"], info["trust"]) == (0, True, False)
    assert card.pod_link("next")["address"] != WANTED["mac"]
    delete(sriov, switched.config, container="dead")  # late
    assert switched.leased() == []
    assert "UP" in card.pod_link("next")["flags"]
    delete(sriov, l2, container="next")


@pytest.mark.usefixtures("unchanged")
def test_gc_takes_down_what_the_go_plugin_attached(
    sriov: Plugin, pods: Callable[[str], str], switched: Switched
) -> None:
    switched.attach("pod", pods("pod"))
    config = switched.config | {"cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
    # Debian's host-local knows no version 1.1.0, and so no GC: nobody releases its address then.
    config = config | {"ipam": {}}
    collected = sriov("GC", config, path=DEBIANS)
    assert collected.status == 0, collected.said


@pytest.mark.parametrize("late", [False, True])
def test_a_user_space_vf_is_restored_by_del_or_by_the_next_add(
    sriov: Plugin, pods: Callable[[str], str], switched: Switched, late: bool
) -> None:
    run("modprobe", "vfio-pci")
    card.bind(switched.address, "vfio-pci")
    before = card.state()
    switched.attach("dead", pods("dead"))
    l2 = {"cniVersion": "1.1.0", "name": "l2", "type": "sriov", "deviceID": switched.address}
    pod = pods("next")
    assert sriov("ADD", l2, container="next", netns=pod).code == 11
    run("ip", "netns", "delete", "dead")
    if not late:
        delete(sriov, switched.config, container="dead")
        assert card.state() == before
    assert sriov("ADD", l2, container="next", netns=pod).status == 0
    assert card.vlan("eth0", VF) == 0
    delete(sriov, switched.config, container="dead")
    delete(sriov, l2, container="next")
    assert card.state() == before
    assert switched.leased() == []
    card.bind(switched.address, "")

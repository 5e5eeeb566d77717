# SPDX-License-Identifier: Apache-2.0
"""VFs by PCI address, VFs bound to vfio-pci, and a PF itself, on real drivers."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests import card
from tests.networks import DEVICE
from tests.plugin import Document, Plugin, run

POOL: Document = {"type": "fixipam", "subnet": "10.7.0.0/24", "rangeStart": "10.7.0.5"}


@pytest.fixture
def userspace_vf() -> Iterator[str]:
    """The PCI address of VF 4 of eth0, bound to vfio-pci for the length of a test."""
    run("modprobe", "vfio-pci")
    address = card.vf_address("eth0", 4)
    card.bind(address, "vfio-pci")
    assert os.path.basename(os.readlink(f"/sys/bus/pci/devices/{address}/driver")) == "vfio-pci"
    before = card.state()
    yield address
    assert card.state() == before
    card.bind(address, "")


@pytest.mark.usefixtures("unchanged")
def test_a_vf_is_found_by_its_pci_address_alone(sriov: Plugin, pods: Callable[[str], str]) -> None:
    address = card.vf_address("eth1", 3)
    config = DEVICE | {"runtimeConfig": {"deviceID": address}, "capabilities": {"deviceID": True}}
    pod = pods("pod")
    outcome = sriov("ADD", config, netns=pod, args="VLAN=30")
    assert outcome.document["interfaces"][0]["pciID"] == address
    assert card.vlan("eth1", 3) == 30
    assert sriov("DEL", config, netns=pod).status == 0


def test_a_vf_bound_to_vfio_is_administered_through_its_pf(
    sriov: Plugin, pods: Callable[[str], str], userspace_vf: str
) -> None:
    wanted = {"mac": "66:d8:02:77:ff:01", "vlan": 40, "spoofchk": "off", "trust": "on"}
    config = DEVICE | wanted | {"deviceID": userspace_vf, "ipam": POOL}
    pod = pods("pod")
    outcome = sriov("ADD", config, netns=pod)
    assert outcome.document["interfaces"] == [
        {"name": "net1", "mac": wanted["mac"], "sandbox": pod, "pciID": userspace_vf}
    ]
    assert outcome.document["ips"] == [{"address": "10.7.0.5/24", "interface": 0}]
    info = card.vf_info("eth0", 4)
    assert (info["address"], info["spoofchk"], info["trust"]) == (wanted["mac"], False, True)
    assert card.vlan("eth0", 4) == 40
    assert sriov("CHECK", config | {"prevResult": outcome.document}, netns=pod).status == 0
    assert sriov("DEL", config, netns=pod).status == 0


@pytest.mark.usefixtures("unchanged")
def test_a_pf_itself_moves_and_comes_back_up(sriov: Plugin, pods: Callable[[str], str]) -> None:
    config = DEVICE | {"master": "eth1", "pfOnly": True, "mtu": 1400}
    pod = pods("pod")
    outcome = sriov("ADD", config, netns=pod)
    assert outcome.status == 0, outcome.said
    assert card.pod_link("pod")["parentdev"] == outcome.document["interfaces"][0]["pciID"]
    assert sriov("CHECK", config | {"prevResult": outcome.document}, netns=pod).status == 0
    assert sriov("DEL", config, netns=pod).status == 0

# SPDX-License-Identifier: Apache-2.0
"""`sriovctl doctor` on cards that are broken in the ways it knows, and its remedies carried out.

What needs no driver is in tests/namespaces/test_doctor.py, with the check that none is missing.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import card, goplugin
from tests.doctors import Doctor
from tests.lab.runtime import SRIOVCTL
from tests.networks import DEVICE
from tests.plugin import Plugin, run

pytestmark = pytest.mark.once
PF, PCI = "eth1", "/sys/bus/pci"
VF = f"$(basename $(readlink /sys/class/net/{PF}/device/virtfn2))"
STATE = "/var/lib/cni/sriov"


@pytest.fixture(scope="module", autouse=True)
def _new_vfs() -> Iterator[None]:
    """Have eth1's VFs made anew after all that was done to them."""
    yield
    card.enable_vfs(PF, 0)
    card.enable_vfs(PF, card.VFS)


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """The doctor, of a healthy node."""
    return Doctor([SRIOVCTL], tmp_path)


class Case(NamedTuple):
    """How a card is broken by a shell's script; the remedy is the one that doctor prints."""

    check: str
    breaking: str
    says: str


CASES = (
    Case("pf-down", f"ip link set {PF} down", f"{PF} (0000:"),
    Case("driver", f"echo {VF} >{PCI}/devices/{VF}/driver/unbind", "is bound to no driver"),
    Case(
        "mac",
        f"ip link set {PF} vf 2 mac 02:00:00:00:aa:01; ip link set {PF} vf 3 mac 02:00:00:00:aa:01",
        "has the MAC 02:00:00:00:aa:01",
    ),
    Case(
        "host-use",
        f"ip address add 10.77.0.1/24 dev $(ls {PCI}/devices/{VF}/net)",
        "carries the host's address 10.77.0.1",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.check)
def test_what_is_wrong_with_a_card_is_found_and_the_remedy_works(
    doctor: Doctor, case: Case
) -> None:
    assert doctor.finds(case.check) == []
    run("sh", "-ec", case.breaking)
    while found := doctor.finds(case.check):  # two VFs with one MAC are two findings
        assert case.says in found[0].problem
        doctor.carry_out(found[0].remedy)
        assert len(doctor.finds(case.check)) < len(found)


def test_a_module_that_is_missing_is_found(doctor: Doctor) -> None:
    doctor.want({"match": {"pf": PF}, "drivers": {"0": "vfio-pci"}})
    run("modprobe", "-r", "vfio-pci", check=False)
    (found,) = doctor.finds("module")
    doctor.carry_out(found.remedy)
    assert doctor.finds("module") == []


def test_a_node_that_is_not_as_wanted_is_found_and_made_so(doctor: Doctor) -> None:
    doctor.want({"match": {"pf": PF}, "vfs": 3})
    (found,) = doctor.finds("preparation")
    doctor.carry_out(found.remedy)
    assert doctor.finds("preparation") == []
    assert len(card.vf_names(PF)) == 3
    card.enable_vfs(PF, 0)
    card.enable_vfs(PF, card.VFS)


def test_a_lost_vf_is_found_and_released(
    doctor: Doctor, sriov: Plugin, pods: Callable[[str], str]
) -> None:
    before = card.state()
    config = DEVICE | {"deviceID": card.vf_address(PF, 2)}
    assert sriov("ADD", config, netns=pods("pod")).status == 0
    run("ip", "netns", "delete", "pod")
    (found,) = doctor.finds("lost")
    assert found.problem.startswith(str(config["deviceID"]))
    doctor.carry_out(f"{found.remedy} --yes")
    assert doctor.finds("lost") == []
    assert card.state() == before


def test_the_go_plugins_claim_for_a_pod_that_is_gone_is_found_and_released(doctor: Doctor) -> None:
    address, name = card.vf_address(PF, 2), card.netdevs(PF, 2)[0]
    (link,) = json.loads(run("ip", "-j", "link", "show", "dev", name))
    config = DEVICE | {"deviceID": address}
    state = goplugin.vf_state(name, link["address"])
    Path(f"{STATE}/pci").mkdir(exist_ok=True)
    Path(f"{STATE}/c1-net1").write_text(json.dumps(goplugin.cache(config, PF, 2, state)))
    Path(f"{STATE}/pci/{address}").write_text("/run/netns/none")
    (found,) = doctor.finds("go-plugin")
    doctor.carry_out(f"{found.remedy} --yes")
    assert doctor.finds("go-plugin") == []
    assert card.netdevs(PF, 2) == [name]


def test_a_release_without_proof_is_refused(
    sriov: Plugin, pods: Callable[[str], str], doctor: Doctor
) -> None:
    config = DEVICE | {"deviceID": card.vf_address(PF, 2)}
    pod = pods("pod")
    assert sriov("ADD", config, netns=pod).status == 0
    refused = doctor.call("release", "pod")
    assert refused.returncode == 11
    assert "its network namespace /run/netns/pod exists, so its pod may be alive" in refused.stderr
    assert card.pod_link("pod")["ifname"] == "net1"
    assert doctor.call("release", "pod", "net1", "--yes").returncode == 0
    assert len(card.netdevs(PF, 2)) == 1
    assert "No attachment belongs to pod." in doctor.call("release", "pod").stdout

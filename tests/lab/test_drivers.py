# SPDX-License-Identifier: Apache-2.0
"""What other drivers than igb answer to requests about a VF: strace(1) says it in igb's place.

Busy (EBUSY, EAGAIN): ice, i40e, iavf. VFs left out of the list: ice. A zero MAC refused (EINVAL):
qede, bnx2x, be2net, octeontx2. Attributes refused since the eswitch mode changed (EOPNOTSUPP):
mlx5, ice. The places in their source are named where the product waits for it or gets around it:
kernel/patience.py, kernel/vfs.py, device/mac.py, device/restoration.py.
"""

import errno
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sriov_cni.kernel import vfs
from sriov_cni.kernel.messages import LinkMessage
from sriov_cni.kernel.netlink import Socket
from tests import card
from tests.lab.runtime import INSTALLED
from tests.plugin import Document, Outcome, Plugin, run, run_json
from tests.points import Point, Request, failing, recorded

pytestmark = [pytest.mark.usefixtures("unchanged"), pytest.mark.old_kernel]

VF = 3
MAC = "66:d8:02:77:d1:01"
CONFIG: Document = {
    "cniVersion": "1.1.0",
    "name": "drivers",
    "type": "sriov",
    "master": "eth0",
    "vf": VF,
    "mac": MAC,
    "vlan": 11,
    "trust": "on",
}
_TRACED = ("-y", "-s", "256", "-e", "trace=sendto,recvfrom,read,fcntl,newfstatat")
_NOTE = "/var/lib/cni/sriov/unrestored,{}"


class Traced(NamedTuple):
    """How a call under strace ended, and the record of it."""

    outcome: Outcome
    trace: str

    def points(self, command: str) -> list[Point]:
        """Return its requests to the kernel."""
        found = recorded(command, self.trace, INSTALLED)
        return [point for point in found if point.request is not None]

    @property
    def injected(self) -> int:
        """How many answers strace gave."""
        return self.trace.count("(INJECTED")


class Lab:
    """A pod and a VF whose PF reports no MAC; calls of the plugin, under strace."""

    def __init__(self, directory: Path, pod: str) -> None:
        self._log = str(directory / "trace")
        self._pod = pod

    def __call__(self, command: str, *tampering: str) -> Traced:
        """Execute a command, tampered with."""
        strace = ("strace", "-o", self._log, *(tampering or _TRACED))
        outcome = Plugin(*strace, f"{INSTALLED}/sriov")(command, CONFIG, netns=self._pod)
        return Traced(outcome, Path(self._log).read_text(errors="replace"))


@pytest.fixture
def lab(tmp_path: Path, pods: Callable[[str], str]) -> Lab:
    """The lab with its pod."""
    return Lab(tmp_path, pods("pod"))


def about(points: list[Point], attribute: str) -> Point:
    """Return the first request that sets an attribute of a VF."""
    return next(p for p in points if p.step.startswith("RTM_SETLINK") and attribute in p.step)


@pytest.fixture
def setting(lab: Lab) -> Callable[[str, str], Point]:
    """Find the requests of an ADD and a DEL that go on as they should."""
    added = lab("ADD")
    assert added.outcome.status == 0, added.outcome
    deleted = lab("DEL")
    points = {"ADD": added.points("ADD"), "DEL": deleted.points("DEL")}
    return lambda command, attribute: about(points[command], attribute)


def assert_given(pod: str = "pod") -> None:
    """Assert that the pod has the VF as it was asked for."""
    assert card.pod_link(pod)["address"] == MAC == card.administrative_mac("eth0", VF)
    assert card.vlan("eth0", VF) == 11
    assert card.vf_info("eth0", VF)["trust"] is True


def test_busy_pfs_are_waited_for(lab: Lab, setting: Callable[[str, str], Point]) -> None:
    for command, attribute, error, times in (
        ("ADD", "IFLA_VF_MAC", errno.EBUSY, 1),
        ("DEL", "IFLA_VF_MAC", errno.EAGAIN, 1),
        ("ADD", "IFLA_VF_VLAN_LIST", errno.EAGAIN, 10),
        ("DEL", "IFLA_VF_TRUST", errno.EBUSY, 10),
    ):
        done = lab(command, *failing(setting(command, attribute), error, times, every=1))
        assert (done.outcome.status, done.outcome.stderr) == (0, ""), done.outcome
        assert done.injected == times
        if command == "ADD":
            assert_given()


def test_a_pf_that_stays_busy_makes_an_add_fail_and_be_undone(
    lab: Lab, setting: Callable[[str, str], Point]
) -> None:
    busy = failing(setting("ADD", "IFLA_VF_VLAN_LIST"), errno.EBUSY, 60, every=1)
    done = lab("ADD", *busy)
    assert done.outcome.code == 103
    assert "setting VLAN 11 (QoS 0, 802.1q) for VF 3 of eth0: Device or" in done.outcome.said
    assert lab("DEL").outcome.status == 0


def answer_with_two(request: Request) -> bytes:
    """Return the PF's answer to a request for its VFs, in which only the first two are listed.

    strace takes no more than a thousand bytes.
    """
    message = LinkMessage()
    message["attrs"] = [("IFLA_IFNAME", "eth0"), ("IFLA_EXT_MASK", 0x9)]
    answer: bytes = Socket().get(18, message, "asking for VFs").data
    place = next(at for at, _, kind in vfs.walk(answer, vfs.LINK_HEADERS) if kind == 22)
    third = [begin - 4 for _, begin, _ in vfs.entries(answer)][2]
    listed = answer[place + 4 : third]
    body = answer[16:32] + struct.pack("=HH", 4 + len(listed), 22) + listed
    return struct.pack("=IHHII", 16 + len(body), 16, 0, request.sequence, 0) + body


def test_a_vf_that_the_pf_leaves_out_is_waited_for(lab: Lab) -> None:
    added = lab("ADD")
    assert lab("DEL").outcome.status == 0
    listing = [p for p in added.points("ADD") if p.step == "RTM_GETLINK IFLA_IFNAME IFLA_EXT_MASK"]
    point = listing[0]
    assert point.request is not None
    answer = answer_with_two(point.request)
    done = lab(
        "ADD",
        *("-y", "-e", "trace=sendto,recvfrom"),
        *("-e", f"inject=sendto:retval={point.request.length}:when={point.nth}"),
        "-e",
        f"inject=recvfrom:retval={len(answer)}:poke_exit=@arg2={answer.hex()}"
        f":when={point.request.answer}",
    )
    assert done.injected == 2
    assert (done.outcome.status, done.outcome.stderr) == (0, ""), done.outcome
    assert_given()
    assert lab("DEL").outcome.status == 0


def test_a_pf_that_takes_no_zero_mac_gets_the_vfs_own(lab: Lab) -> None:
    at_first = card.administrative_mac("eth0", VF)  # none on Linux 6.1, the VF's own on 6.12
    (name,) = card.netdevs("eth0", VF)
    own = run_json("ip", "-j", "link", "show", "dev", name)[0]["address"]
    run("ip", "link", "set", "eth0", "vf", str(VF), "mac", "00:00:00:00:00:00")
    assert lab("ADD").outcome.status == 0
    first = about(lab("DEL").points("DEL"), "IFLA_VF_MAC")
    assert lab("ADD").outcome.status == 0
    refused = lab("DEL", *_TRACED, *failing(first, errno.EINVAL)[-2:])
    assert (refused.outcome.status, refused.outcome.stderr) == (0, ""), refused.outcome
    requests = [line for line in refused.trace.splitlines() if "RTM_SETLINK" in line]
    settings = [line for line in requests if line.startswith("sendto") and "_VF_MAC" in line]
    assert "(INJECTED" in settings[0]
    assert f"mac={own}:00" in settings[1]
    assert run_json("ip", "-j", "link", "show", "dev", name)[0]["address"] == own
    assert not os.path.exists(_NOTE.format(card.vf_address("eth0", VF)))
    run("ip", "link", "set", "eth0", "vf", str(VF), "mac", at_first)


@pytest.mark.parametrize("attribute", ["IFLA_VF_VLAN_LIST", "IFLA_VF_TRUST"])
def test_what_a_driver_refuses_for_good_is_noted_and_tried_again(
    lab: Lab, setting: Callable[[str, str], Point], attribute: str
) -> None:
    before = card.state()
    note = _NOTE.format(card.vf_address("eth0", VF))
    assert lab("ADD").outcome.status == 0
    deleted = lab("DEL", *failing(setting("DEL", attribute), errno.EOPNOTSUPP))
    assert deleted.outcome.status == 0, deleted.outcome
    assert "is not as it was, its next ADD tries again: setting" in deleted.outcome.stderr
    assert f"noted in {note}" in deleted.outcome.stderr
    noted: Any = json.loads(Path(note).read_text())
    assert [words for words in noted["refused"] if "Operation not supported" in words]
    now = card.state()
    assert now["devices"] == before["devices"]
    assert now["VFs"] != before["VFs"]
    assert lab("ADD").outcome.status == 0
    assert not os.path.exists(note)
    assert_given()
    assert lab("DEL").outcome.status == 0


def test_the_bus_is_asked_for_where_the_kernel_names_no_parent() -> None:
    from sriov_cni.kernel import links

    host = Socket()
    for pf in card.PFS:
        (vf,) = card.netdevs(pf, VF)
        for name, address in ((pf, card.pci_address(pf)), (vf, card.vf_address(pf, VF))):
            link = links.find(host, name)
            assert link is not None
            assert links.pci_address(host, link._replace(parent="")) == address
    loopback = links.find(host, "lo")
    assert loopback is not None
    assert links.pci_address(host, loopback) == ""

# SPDX-License-Identifier: Apache-2.0
"""What a real card cannot do is a clear error, and nothing is changed."""

from collections.abc import Callable, Iterator

import pytest

from tests import card
from tests.networks import MYNET
from tests.plugin import Document, Plugin, run

L2: Document = {"cniVersion": "1.1.0", "name": "layer2", "type": "sriov", "master": "eth1"}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("config", "args", "code", "words"),
    [
        (L2, "VF=7", 101, "eth1 has no VF 7: 7 VFs are enabled on eth1: ask for one from 0 to 6"),
        (L2 | {"master": "eth99"}, "", 101, "PF eth99 does not exist"),
        (L2 | {"master": "sit0"}, "", 101, "sit0 has no SR-IOV"),
        (L2 | {"link_state": "enable"}, "", 103, "igb refused: setting link_state enable"),
        (L2 | {"min_tx_rate": 50, "max_tx_rate": 100}, "", 103, "50 to 100 Mbit/s for VF 0"),
        (L2 | {"vlan": 5, "vlanProto": "802.1ad"}, "", 103, "not supported (EPROTONOSUPPORT)"),
        (L2 | {"mtu": 9999}, "", 103, "setting the MTU"),
        (MYNET, "IP=10.55.206.63", 110, "broadcast"),
    ],
)
def test_is_refused_and_nothing_is_changed(
    sriov: Plugin,
    pods: Callable[[str], str],
    config: Document,
    args: str,
    code: int,
    words: str,
) -> None:
    if config["master"] == "sit0":
        run("ip", "link", "add", "sit0", "type", "bridge")
    try:
        outcome = sriov("ADD", config, netns=pods("pod"), args=args)
        assert outcome.code == code, outcome
        assert words in outcome.said
    finally:
        if config["master"] == "sit0":
            run("ip", "link", "delete", "sit0")


@pytest.mark.usefixtures("unchanged")
def test_vf_0_is_a_request_and_a_vf_in_use_is_refused(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    first, second = pods("first"), pods("second")
    assert sriov("ADD", L2, netns=first, container="first", args="VF=0").status == 0
    assert card.pod_link("first")["parentdev"] == card.vf_address("eth1", 0)
    outcome = sriov("ADD", L2, netns=second, container="second", args="VF=0")
    assert outcome.code == 11
    assert "belongs to interface net1 of container first until its DEL" in outcome.said
    assert sriov("DEL", L2, netns=first, container="first").status == 0


@pytest.fixture
def without_vfs() -> Iterator[None]:
    """PF eth1 with its VFs disabled for the length of a test."""
    with open("/sys/class/net/eth1/device/sriov_numvfs", "w", encoding="ascii") as file:
        file.write("0")
    yield
    card.enable_vfs("eth1", card.VFS)


@pytest.mark.usefixtures("without_vfs")
def test_a_pf_without_enabled_vfs_says_how_to_enable_them(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    before = card.state()
    outcome = sriov("ADD", L2, netns=pods("pod"))
    assert outcome.code == 101
    assert "echo 4 > /sys/class/net/eth1/device/sriov_numvfs" in outcome.said
    assert card.state() == before

# SPDX-License-Identifier: Apache-2.0
"""Attachment records: what was written is found again, by attachment, by VF and by network."""

from pathlib import Path
from typing import Any

import pytest

from sriov_cni.cni.call import Attachment
from sriov_cni.cni.document import LARGEST_DOCUMENT, decode
from sriov_cni.cni.names import LONGEST_IDENTIFIER
from sriov_cni.domain.function import Function
from sriov_cni.domain.record import Device, Record, Snapshot
from sriov_cni.domain.registry import Registry
from sriov_cni.kernel.vfs import VfAttributes

ADDRESS = "0000:3b:02.1"
BEFORE = Snapshot(
    Device(
        name="eth1v1",
        alternative_names=("enp59s0f0v1", "storage"),
        mac="02:00:00:00:00:01",
        mtu=1500,
        up=True,
        parent=ADDRESS,
    ),
    VfAttributes("00:00:00:00:00:00", 0, 0, "802.1q", True, False, "auto", 0, 0),
)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A node's registry, new."""
    return Registry(str(tmp_path / "sriov"), create=True)


def record(registry: Registry, **changes: Any) -> Record:
    """Return the record of an attachment, some of it changed."""
    usual = Record(
        attachment=Attachment("pod-a", "net1", "/run/netns/pod-a"),
        network="mynet",
        boot=registry.boot,
        function=Function("eth1", 1, ADDRESS),
        before=BEFORE,
        arguments="VF=1",
        config={"name": "mynet", "master": "eth1"},
    )
    return usual._replace(**changes)


@pytest.mark.parametrize(
    "before", [BEFORE, BEFORE._replace(attributes=None), BEFORE._replace(device=None)]
)
def test_a_record_is_read_as_it_was_written(registry: Registry, before: Snapshot) -> None:
    written = record(registry, before=before)
    registry.write(written)
    assert registry.find(written.attachment) == written


def test_a_record_is_found_by_container_and_interface(registry: Registry) -> None:
    registry.write(record(registry))
    assert registry.find(Attachment("pod-a", "net1")) is not None
    assert registry.find(Attachment("pod-a", "net2")) is None
    assert registry.find(Attachment("pod", "net1")) is None


def test_a_record_is_found_by_the_vf_it_claims(registry: Registry) -> None:
    registry.write(record(registry))
    assert registry.holder(ADDRESS) == record(registry)
    assert registry.holder("0000:3b:02.2") is None
    assert registry.claimed_addresses() >= {ADDRESS}


def test_the_attachments_of_a_network_are_listed(registry: Registry) -> None:
    other = Attachment("pod-b", "net1")
    registry.write(record(registry))
    registry.write(
        record(
            registry,
            attachment=other,
            network="other",
            function=Function("eth1", 1, "0000:3b:02.2"),
        )
    )
    assert registry.attachments_of("other") == [other]


def test_after_a_reboot_the_vf_is_free_and_the_record_still_there(registry: Registry) -> None:
    earlier = record(registry, boot="another boot")
    registry.write(earlier)
    assert registry.holder(ADDRESS) is None
    assert registry.find(earlier.attachment) == earlier


def test_after_the_end_of_its_claim_the_vf_is_free_and_the_record_still_there(
    registry: Registry,
) -> None:
    written = record(registry)
    registry.write(written)
    registry.end_claim(written)
    assert registry.holder(ADDRESS) is None
    assert registry.find(written.attachment) == written


@pytest.mark.parametrize("ended", [False, True])
def test_a_removed_record_is_gone_however_often(registry: Registry, ended: bool) -> None:
    written = record(registry)
    registry.write(written)
    if ended:
        registry.end_claim(written)
    registry.remove(written)
    registry.remove(written)
    assert registry.find(written.attachment) is None
    assert registry.attachments_of("mynet") == []


def test_a_node_that_never_had_an_attachment_has_no_registry(tmp_path: Path) -> None:
    assert Registry.existing(str(tmp_path / "sriov")) is None


def largest(content: bytes) -> bytes:
    """Return the largest configuration filled with some content that is accepted."""
    frame = b'{"name":"mynet","x":"%s"}'
    return frame % (content * ((LARGEST_DOCUMENT - len(frame)) // len(content)))


@pytest.mark.parametrize("content", [b"x", "\u00e9".encode()], ids=["ascii", "not ascii"])
def test_a_record_holds_the_largest_configuration(registry: Registry, content: bytes) -> None:
    written = record(registry, config=decode(largest(content), "the configuration"))
    registry.write(written)
    assert registry.find(written.attachment) == written


def test_a_record_holds_the_longest_names(registry: Registry) -> None:
    written = record(registry, attachment=Attachment("c" * LONGEST_IDENTIFIER, "i" * 15))
    registry.write(written)
    assert registry.find(written.attachment) == written

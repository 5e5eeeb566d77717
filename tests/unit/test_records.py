# SPDX-License-Identifier: Apache-2.0
"""Attachment records: what was written is found again, by attachment, by VF and by network."""

from pathlib import Path
from typing import Any

import pytest

from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.call import Arguments
from sriov_cni.cni.document import LARGEST_DOCUMENT, decode
from sriov_cni.cni.names import LONGEST_IDENTIFIER
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device, Snapshot
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
def records(tmp_path: Path) -> AttachmentRecords:
    """A node's records, new."""
    return AttachmentRecords(str(tmp_path / "sriov"), create=True)


def record(records: AttachmentRecords, **changes: Any) -> Record:
    """Return the record of an attachment, some of it changed."""
    usual = Record(
        owner=Owner("pod-a", "net1"),
        netns="/run/netns/pod-a",
        network="mynet",
        boot=records.boot,
        function=PciFunction("eth1", 1, ADDRESS),
        before=BEFORE,
        arguments=Arguments.parse("VF=1"),
        config={"name": "mynet", "master": "eth1"},
    )
    return usual._replace(**changes)


@pytest.mark.parametrize(
    "before", [BEFORE, BEFORE._replace(attributes=None), BEFORE._replace(device=None)]
)
def test_a_record_is_read_as_it_was_written(records: AttachmentRecords, before: Snapshot) -> None:
    written = record(records, before=before)
    records.write(written)
    assert records.find(written.owner) == written


def test_a_record_is_found_by_container_and_interface(records: AttachmentRecords) -> None:
    records.write(record(records))
    assert records.find(Owner("pod-a", "net1")) is not None
    assert records.find(Owner("pod-a", "net2")) is None
    assert records.find(Owner("pod", "net1")) is None


def test_a_record_is_found_by_the_vf_it_claims(records: AttachmentRecords) -> None:
    records.write(record(records))
    assert records.claimant(ADDRESS) == record(records)
    assert records.claimant("0000:3b:02.2") is None
    assert records.claimed_addresses() >= {ADDRESS}


def test_the_attachments_of_a_network_are_listed(records: AttachmentRecords) -> None:
    other = Owner("pod-b", "net1")
    records.write(record(records))
    records.write(
        record(
            records,
            owner=other,
            network="other",
            function=PciFunction("eth1", 1, "0000:3b:02.2"),
        )
    )
    assert records.owners_in("other") == [other]


def test_after_a_reboot_the_vf_is_free_and_the_record_still_there(
    records: AttachmentRecords,
) -> None:
    earlier = record(records, boot="another boot")
    records.write(earlier)
    assert records.claimant(ADDRESS) is None
    assert records.find(earlier.owner) == earlier


def test_after_the_end_of_its_claim_the_vf_is_free_and_the_record_still_there(
    records: AttachmentRecords,
) -> None:
    written = record(records)
    records.write(written)
    records.end_claim(written)
    assert records.claimant(ADDRESS) is None
    assert records.find(written.owner) == written


@pytest.mark.parametrize("ended", [False, True])
def test_a_removed_record_is_gone_however_often(records: AttachmentRecords, ended: bool) -> None:
    written = record(records)
    records.write(written)
    if ended:
        records.end_claim(written)
    records.remove(written)
    records.remove(written)
    assert records.find(written.owner) is None
    assert records.owners_in("mynet") == []


def test_a_node_that_never_had_an_attachment_has_no_records(tmp_path: Path) -> None:
    assert AttachmentRecords.existing(str(tmp_path / "sriov")) is None


def largest(content: bytes) -> bytes:
    """Return the largest configuration filled with some content that is accepted."""
    frame = b'{"name":"mynet","x":"%s"}'
    return frame % (content * ((LARGEST_DOCUMENT - len(frame)) // len(content)))


@pytest.mark.parametrize("content", [b"x", "\u00e9".encode()], ids=["ascii", "not ascii"])
def test_a_record_holds_the_largest_configuration(
    records: AttachmentRecords, content: bytes
) -> None:
    written = record(records, config=decode(largest(content), "the configuration"))
    records.write(written)
    assert records.find(written.owner) == written


def test_a_record_holds_the_longest_names(records: AttachmentRecords) -> None:
    written = record(records, owner=Owner("c" * LONGEST_IDENTIFIER, "i" * 15))
    records.write(written)
    assert records.find(written.owner) == written

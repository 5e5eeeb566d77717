# SPDX-License-Identifier: Apache-2.0
"""Taking an attachment down: the one way back, for DEL, GC and the undo of a failed ADD.

Every step is idempotent and returns what could not be done; the record is kept then, so that a
DEL can try again.
"""

from typing import NamedTuple

from sriov_cni.attachment import failure, ipam_client
from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni import errors, log
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.device import handover, restoration
from sriov_cni.device.errors import DeviceError
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import Socket


class Leftover(NamedTuple):
    """An attachment's remains: `problems` that DEL may solve, changes that drivers `refused`."""

    problems: list[CniError]
    refused: list[str]


def take_down(records: AttachmentRecords, host: Socket, record: Record, call: Call) -> Leftover:
    """Release the addresses, then return the VF; the caller holds the lock of a VF still claimed.

    IPAM comes first because it may need the interface: DHCP gives its lease back through it. If it
    fails, the VF is returned all the same, and the record stays. `call` is the call being served:
    its version and CNI_PATH are used, and its namespace if it is about the same attachment.
    """
    unreleased = _release_addresses(record, call)
    refused: list[str] = []
    try:
        if records.claims(record):  # otherwise the VF is home, and another attachment may have it
            refused = _give_back(records, host, record, call)
        if unreleased:
            records.end_claim(record)
        else:
            records.remove(record)
    except CniError as error:
        return Leftover([error, *unreleased], refused)
    return Leftover(unreleased, refused)


def restore_noted(
    records: AttachmentRecords, host: Socket, noted: Record, link: Link | None
) -> None:
    """Try again to restore a VF that a driver would not restore: see AttachmentRecords.unrestored.

    The note stays if the driver refuses again. Raises CniError (103) for a failure that may pass.
    """
    if not _restored(records, host, noted, link):
        records.forget_unrestored(noted.function.address)


def _give_back(records: AttachmentRecords, host: Socket, record: Record, call: Call) -> list[str]:
    """Bring the VF home and restore it; return what drivers refused.

    Raises CniError: 103 for a failure that may pass, 11 where nobody can fetch the VF.
    """
    paths = [record.netns, *([call.netns] if call.owner == record.owner else [])]
    device = record.before.device
    try:
        link = handover.bring_home(host, record.function, device, record.owner.ifname, paths)
    except KernelError as error:
        raise _not_given_back(record, [str(error)]) from None
    except DeviceError as error:
        raise failure.of_device(error) from None
    return _restored(records, host, record, link)


def _restored(
    records: AttachmentRecords, host: Socket, record: Record, link: Link | None
) -> list[str]:
    """Restore a VF that is home and note what drivers refused; return that."""
    restored = restoration.restore(host, record.function, record.before, link)
    log.write_all("warning", restored.remarks)
    if restored.problems:
        raise _not_given_back(record, [*restored.problems, *restored.refused])
    if restored.refused:
        note = records.note_unrestored(record, restored.refused)
        log.write(
            "error",
            f"{record.function} ({record.function.address}) is not as it was, its next ADD tries "
            f"again: {'; '.join(restored.refused)}; noted in {note}",
        )
    return restored.refused


def _not_given_back(record: Record, problems: list[str]) -> CniError:
    return CniError(
        errors.REFUSED_BY_KERNEL,
        f"{record.function} could not be given back",
        f"DEL will try again: {'; '.join(problems)}",
    )


def _release_addresses(record: Record, call: Call) -> list[CniError]:
    """Have IPAM release the addresses of the recorded ADD."""
    recorded = call._replace(
        command="DEL",
        owner=record.owner,
        netns=record.netns,
        network=record.network,
        arguments=record.arguments,
        config=record.config,
    )
    try:
        ipam_client.delete(recorded)
    except CniError as error:
        # A plugin that does not know the version granted nothing: records of the first release
        # do not say so.
        if record.granted and error.code != errors.INCOMPATIBLE_VERSION:
            return [error]
        log.write("warning", f"IPAM, which granted nothing, failed to release: {error}")
    return []

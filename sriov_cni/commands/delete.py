# SPDX-License-Identifier: Apache-2.0
"""DEL: take a container's VF back (specification, section 2, "DEL")."""

from sriov_cni.attachment import configuration, ipam_client
from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords, UnreadableError
from sriov_cni.attachment.teardown import take_down
from sriov_cni.cni import log
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.owner import Owner
from sriov_cni.kernel.netlink import Socket


def delete(call: Call) -> None:
    """Undo the attachment that the record describes; without one, only IPAM's part is left.

    Needs neither the namespace nor the configuration the ADD had.
    """
    call = configuration.respelt(call)
    configuration.configure_log(call.fields)
    records = AttachmentRecords.existing(configuration.state_directory(call.fields))
    if records is None or not delete_recorded(records, call.owner, call):
        try:
            ipam_client.delete(call)
        except CniError as error:  # no record: nothing of it is known to be granted
            log.write("warning", f"IPAM failed to release what it may not have granted: {error}")


def delete_recorded(records: AttachmentRecords, owner: Owner, call: Call) -> bool:
    """Undo a recorded attachment; return whether there was a record. Raises CniError."""
    try:
        record = records.find(owner)
    except UnreadableError as error:
        if error.newer:
            raise
        records.set_aside(error)
        return False
    record = record or _adopted(records, owner, call)
    if record is None:
        records.discard_unfinished(lambda unfinished: unfinished == owner)
        return False
    log.note(*record.function)
    if records.claims(record):  # without a claim the VF and its lock may be the next pod's
        records.lock(record.function)
        record = records.find(owner)  # another DEL may have been at it meanwhile
        if record is None:
            return True
    problems = take_down(records, Socket(), record, call).problems
    records.unlock(record.function.address)
    if len(problems) > 1:
        raise problems[0].with_details("; ".join(f"IPAM DEL: {error}" for error in problems[1:]))
    if problems:
        raise problems[0]
    return True


def _adopted(records: AttachmentRecords, owner: Owner, call: Call) -> Record | None:
    """Return a record of an attachment that the Go plugin made, None if it made none."""
    from sriov_cni.attachment.goplugin import attachments  # no usual DEL comes here

    function = attachments.function_of(records, owner)
    if function is None:
        return None
    records.lock(function)
    record = attachments.adopt(records, Socket(), owner, call)
    records.unlock(function.address)
    return record

# SPDX-License-Identifier: Apache-2.0
"""GC: take down attachments that the runtime no longer knows (specification, section 2, "GC")."""

from sriov_cni.attachment import configuration, ipam_client
from sriov_cni.attachment.goplugin import attachments
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.commands.delete import delete_recorded
from sriov_cni.kernel.errors import KernelError


def gc(call: Call) -> None:
    """Take down every attachment of this network not on the runtime's list, as DEL would.

    Goes on after failures and reports them together.
    """
    call = configuration.respelt(call)
    configuration.configure_log(call.fields)
    valid = call.valid_attachments()
    records = AttachmentRecords.existing(configuration.state_directory(call.fields))
    problems = []
    if records is not None:
        unknown = [owner for owner in records.owners_in(call.network) if owner not in valid]
        unknown += attachments.unknown_owners(records, call.network, valid)
        for owner in unknown:
            try:
                delete_recorded(records, owner, call)
            except (CniError, KernelError) as error:
                problems.append(f"{owner.container_id}/{owner.ifname}: {error}")
        records.discard_unfinished(lambda owner: owner not in valid)
    try:
        ipam_client.collect(call)
    except CniError as error:
        problems.append(f"IPAM GC: {error}")
    if problems:
        raise CniError(
            errors.REFUSED_BY_KERNEL,
            f"{len(problems)} leftovers of network {call.network} could not be removed",
            "; ".join(problems),
        )

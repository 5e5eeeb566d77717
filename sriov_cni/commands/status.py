# SPDX-License-Identifier: Apache-2.0
"""STATUS: can this node serve ADDs at all (specification, section 2, "STATUS").

Runtimes ask every few seconds, and a node whose network says no is NotReady. So "no" means that no
ADD can succeed before an operator comes, never that VFs, PFs or addresses are used up. Nothing is
locked, and no record is read.
"""

from sriov_cni.attachment import configuration, ipam_client
from sriov_cni.attachment.configuration import Configuration
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.attachment.selection import requested
from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.device.errors import DeviceError
from sriov_cni.kernel import sysfs


def status(call: Call) -> None:
    """Look for the things that every ADD needs; raise CniError (50) for one that is missing."""
    call = configuration.respelt(call)
    wanted = configuration.parse(call)
    try:
        records = AttachmentRecords(wanted.state_directory, create=True)
        with records.directory() as directory:
            directory.require_writable()
        if _can_be_looked_at(wanted, records):
            requested(wanted)
    except (CniError, DeviceError) as error:
        raise CniError(errors.NOT_AVAILABLE, error.msg, error.details) from None
    ipam_client.status(call)


def _can_be_looked_at(wanted: Configuration, records: AttachmentRecords) -> bool:
    """Tell whether the node must have the PF or VF that a network names, if it names one."""
    if not wanted.master:
        return wanted.device_id is not None
    return sysfs.exists(wanted.master) or not _pods_have_a_pf(records)


def _pods_have_a_pf(records: AttachmentRecords) -> bool:
    """Tell whether an attachment has a PF, which is then not on the host (pfOnly)."""
    claimed = records.claimed_addresses()
    return any(
        sysfs.has_netdevs(address) and sysfs.pf_address(address) is None for address in claimed
    )

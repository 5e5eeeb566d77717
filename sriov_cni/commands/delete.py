# SPDX-License-Identifier: Apache-2.0
"""DEL: take a container's VF back (specification, section 2, "DEL")."""

from sriov_cni.cni import errors
from sriov_cni.cni.call import Attachment, Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import addressing, configuration
from sriov_cni.domain.record import Registry
from sriov_cni.domain.selection import lock
from sriov_cni.domain.teardown import release_addresses, return_vf
from sriov_cni.kernel.netlink import Socket


def delete(call: Call) -> None:
    """Undo the attachment that the record describes; without one, only IPAM's part is left.

    Needs neither the namespace nor the configuration the ADD had.
    """
    registry = Registry.existing(configuration.state_directory(call.fields))
    if registry is None or not delete_recorded(registry, call.attachment, call):
        addressing.delete(call)


def delete_recorded(registry: Registry, attachment: Attachment, call: Call) -> bool:
    """Undo a recorded attachment; return whether there was a record. Raises CniError."""
    record = registry.find(attachment)
    if record is None:
        return False
    lock(registry, record.function)
    record = registry.find(attachment)  # another DEL may have been at it before the lock was got
    if record is None:
        return True
    problems = return_vf(registry, Socket(), record)
    registry.unlock(record.function.address)  # IPAM may be slow, and the next pod may want the VF
    problems = problems or release_addresses(registry, record, call)
    if problems:
        raise CniError(
            errors.REFUSED_BY_KERNEL,
            f"{record.function} could not be given back",
            f"DEL will try again: {'; '.join(problems)}",
        )
    return True

# SPDX-License-Identifier: Apache-2.0
"""DEL: take a container's VF back (specification, section 2, "DEL")."""

from sriov_cni.cni import log
from sriov_cni.cni.call import Attachment, Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import addressing, configuration
from sriov_cni.domain.record import Record
from sriov_cni.domain.registry import Registry, UnreadableError
from sriov_cni.domain.teardown import lock, take_down
from sriov_cni.kernel.netlink import Socket


def delete(call: Call) -> None:
    """Undo the attachment that the record describes; without one, only IPAM's part is left.

    Needs neither the namespace nor the configuration the ADD had.
    """
    configuration.configure_log(call.fields)
    registry = Registry.existing(configuration.state_directory(call.fields))
    if registry is None or not delete_recorded(registry, call.attachment, call):
        try:
            addressing.delete(call)
        except CniError as error:  # no record: nothing of it is known to be granted
            log.write("warning", f"IPAM failed to release what it may not have granted: {error}")


def delete_recorded(registry: Registry, attachment: Attachment, call: Call) -> bool:
    """Undo a recorded attachment; return whether there was a record. Raises CniError."""
    try:
        record = registry.find(attachment)
    except UnreadableError as error:
        if error.newer:
            raise
        registry.set_aside(error)
        return False
    record = record or _adopted(registry, attachment, call)
    if record is None:
        registry.discard_unfinished(lambda unfinished: unfinished[:2] == attachment[:2])
        return False
    if registry.claims(record):  # without a claim the VF and its lock may be the next pod's
        lock(registry, record.function)
        record = registry.find(attachment)  # another DEL may have been at it meanwhile
        if record is None:
            return True
    problems = take_down(registry, Socket(), record, call).problems
    registry.unlock(record.function.address)
    if len(problems) > 1:
        raise problems[0].with_details("; ".join(f"IPAM DEL: {error}" for error in problems[1:]))
    if problems:
        raise problems[0]
    return True


def _adopted(registry: Registry, attachment: Attachment, call: Call) -> Record | None:
    """Return a record of what the Go plugin attached; None if it did not, or another DEL has it."""
    from sriov_cni.domain import predecessor  # not on the usual way

    function = predecessor.function_of(registry, attachment)
    if function is None:
        return None
    lock(registry, function)
    record = predecessor.adopt(registry, Socket(), attachment, call)
    registry.unlock(function.address)
    return record

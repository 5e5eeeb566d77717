# SPDX-License-Identifier: Apache-2.0
"""Taking an attachment down: the one way back, for DEL, GC and the undo of a failed ADD.

Every step is idempotent and returns what could not be done; the record is kept then, so that a
DEL can try again.
"""

from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import addressing, vf
from sriov_cni.domain.record import Record, Registry
from sriov_cni.kernel.netlink import KernelError, Socket


def take_down(registry: Registry, host: Socket, record: Record, call: Call) -> list[str]:
    """Return the VF, then release the addresses; the caller holds the VF's lock."""
    return return_vf(registry, host, record) or release_addresses(registry, record, call)


def return_vf(registry: Registry, host: Socket, record: Record) -> list[str]:
    """Bring the VF home, restore it and end the claim on it; the caller holds its lock."""
    if record.boot == registry.boot:  # a reboot has reset the VF already
        try:
            problems = vf.restore(host, record, vf.bring_home(host, record))
        except KernelError as error:
            problems = [str(error)]
        if problems:
            return problems
    registry.end_claim(record)
    return []


def release_addresses(registry: Registry, record: Record, call: Call) -> list[str]:
    """Have IPAM release what the recorded ADD was given, and forget the record.

    `call` is the one being served; it lends only its version and CNI_PATH.
    """
    recorded = call._replace(
        command="DEL",
        attachment=record.attachment,
        network=record.network,
        arguments=record.arguments,
        config=record.config,
    )
    try:
        addressing.delete(recorded)
    except CniError as error:
        return [f"IPAM DEL: {error}"]
    registry.remove(record)
    return []

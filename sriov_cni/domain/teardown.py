# SPDX-License-Identifier: Apache-2.0
"""Taking an attachment down: the one way back, for DEL and for the undo of a failed ADD."""

from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import addressing, vf
from sriov_cni.domain.record import Record, Registry
from sriov_cni.kernel.netlink import KernelError, Socket


def take_down(registry: Registry, host: Socket, record: Record, call: Call) -> list[str]:
    """Bring the VF home, restore it, release the addresses, forget the record.

    The caller holds the VF's lock; it is given back as soon as the VF is whole. Every step is
    idempotent. Returns what could not be done: the record is kept then, for a DEL to try again.
    """
    if record.boot == registry.boot:  # a reboot has reset the VF already
        try:
            problems = vf.restore(host, record, vf.bring_home(host, record))
        except KernelError as error:
            problems = [str(error)]
        if problems:
            return problems
    registry.end_claim(record)
    registry.unlock(record.address)
    try:
        addressing.delete(
            call._replace(
                command="DEL",
                attachment=record.attachment,
                network=record.network,
                args=record.args,
                config=record.config,
            )
        )
    except CniError as error:
        return [f"IPAM DEL: {error}"]
    registry.remove(record)
    return []

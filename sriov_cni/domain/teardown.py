# SPDX-License-Identifier: Apache-2.0
"""Taking an attachment down: the one way back, for DEL, GC and the undo of a failed ADD.

Every step is idempotent and returns what could not be done; the record is kept then, so that a
DEL can try again.
"""

from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import addressing, vf
from sriov_cni.domain.function import Function
from sriov_cni.domain.record import Record, Registry
from sriov_cni.kernel.netlink import KernelError, Socket

_PATIENCE = 20.0  # seconds; runtimes give an operation minutes


def lock(registry: Registry, function: Function) -> None:
    """Take a function's lock; raise CniError (11) if another operation keeps it for too long."""
    if not registry.lock(function.address, _PATIENCE):
        raise CniError(
            errors.TRY_AGAIN_LATER,
            f"{function} is busy",
            f"another operation has held its lock for {_PATIENCE:.0f} s",
        )


def take_down(registry: Registry, host: Socket, record: Record, call: Call) -> list[CniError]:
    """Release the addresses, then return the VF; the caller holds the lock of a VF still claimed.

    IPAM comes first because it may need the interface: DHCP gives its lease back through it. That
    it fails keeps nobody from the VF, only the record is kept. `call` is the one being served; it
    lends its version and CNI_PATH.
    """
    unreleased = _release_addresses(record, call)
    try:
        if registry.claims(record):  # otherwise the VF is home, and perhaps somebody else's
            _give_back(host, record)
        if unreleased:
            registry.end_claim(record)
        else:
            registry.remove(record)
    except CniError as error:
        return [error, *unreleased]
    return unreleased


def _give_back(host: Socket, record: Record) -> None:
    """Bring the VF home and restore it; raise CniError (103, 11) with all that did not work."""
    try:
        problems = vf.restore(host, record, vf.bring_home(host, record))
    except KernelError as error:
        problems = [str(error)]
    if problems:
        raise CniError(
            errors.REFUSED_BY_KERNEL,
            f"{record.function} could not be given back",
            f"DEL will try again: {'; '.join(problems)}",
        )


def _release_addresses(record: Record, call: Call) -> list[CniError]:
    """Have IPAM release what the recorded ADD was given."""
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
        # A plugin that does not know the version gave nothing, and a retry would change nothing.
        return [] if error.code == errors.INCOMPATIBLE_VERSION else [error]
    return []

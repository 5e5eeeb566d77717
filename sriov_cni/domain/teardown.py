# SPDX-License-Identifier: Apache-2.0
"""Taking an attachment down: the one way back, for DEL, GC and the undo of a failed ADD.

Every step is idempotent and returns what could not be done; the record is kept then, so that a
DEL can try again.
"""

from typing import NamedTuple

from sriov_cni.cni import errors, log
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import addressing, restoration, vf
from sriov_cni.domain.function import Function
from sriov_cni.domain.record import Record
from sriov_cni.domain.registry import Registry
from sriov_cni.kernel.links import Link
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


class Leftover(NamedTuple):
    """What is left of an attachment: `problems` for a DEL to try again, what drivers `refused`."""

    problems: list[CniError]
    refused: list[str]


def take_down(registry: Registry, host: Socket, record: Record, call: Call) -> Leftover:
    """Release the addresses, then return the VF; the caller holds the lock of a VF still claimed.

    IPAM comes first because it may need the interface: DHCP gives its lease back through it. That
    it fails keeps nobody from the VF, only the record is kept. `call` is the one being served; it
    lends its version, CNI_PATH, and the namespace if it is about the same attachment.
    """
    unreleased = _release_addresses(record, call)
    refused: list[str] = []
    try:
        if registry.claims(record):  # otherwise the VF is home, and perhaps somebody else's
            refused = _give_back(registry, host, record, _netns_given(record, call))
        if unreleased:
            registry.end_claim(record)
        else:
            registry.remove(record)
    except CniError as error:
        return Leftover([error, *unreleased], refused)
    return Leftover(unreleased, refused)


def restore_noted(registry: Registry, host: Socket, link: Link | None, address: str) -> bool:
    """Try again to restore a VF that a driver let be as it was; tell whether anything was tried.

    What is refused once more stays noted. Raises CniError (103) for what may yet be done.
    """
    record = registry.unrestored(address)
    if record is None:
        return False
    if not _restored(registry, host, record, link):
        registry.forget_unrestored(address)
    return True


def _netns_given(record: Record, call: Call) -> str:
    return call.attachment.netns if call.attachment[:2] == record.attachment[:2] else ""


def _give_back(registry: Registry, host: Socket, record: Record, netns_given: str) -> list[str]:
    """Bring the VF home and restore it; return what drivers refused.

    Raises CniError (103, 11) with all that may be done yet.
    """
    try:
        link = vf.bring_home(host, record, netns_given)
    except KernelError as error:
        raise _not_given_back(record, [str(error)]) from None
    return _restored(registry, host, record, link)


def _restored(registry: Registry, host: Socket, record: Record, link: Link | None) -> list[str]:
    """Restore a VF that is home and note what drivers refused; return that."""
    problems, refused = restoration.restore(host, record, link)
    if problems:
        raise _not_given_back(record, [*problems, *refused])
    if refused:
        note = registry.note_unrestored(record, refused)
        log.write(
            "error",
            f"{record.function} ({record.function.address}) is not as it was, its next ADD tries "
            f"again: {'; '.join(refused)}; noted in {note}",
        )
    return refused


def _not_given_back(record: Record, problems: list[str]) -> CniError:
    return CniError(
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
        # A plugin that does not know the version granted nothing: records of the first release
        # do not say so.
        if record.granted and error.code != errors.INCOMPATIBLE_VERSION:
            return [error]
        log.write("warning", f"IPAM, which granted nothing, failed to release: {error}")
    return []

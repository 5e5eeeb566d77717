# SPDX-License-Identifier: Apache-2.0
"""Claiming a function for an attachment: the requested one, or the first VF that is free."""

from typing import NamedTuple

from sriov_cni.attachment import goplugin
from sriov_cni.attachment.configuration import Configuration
from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords, UnreadableError
from sriov_cni.attachment.teardown import restore_noted, take_down
from sriov_cni.cni import errors, log
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.device import host_use, pci
from sriov_cni.device.handover import find_on_host
from sriov_cni.device.pci import OnHost, PciFunction
from sriov_cni.device.restoration import detach_xdp, restore
from sriov_cni.kernel import netns, sysfs
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import Socket

_EXAMPLES = 3


class _Obstacle(NamedTuple):
    """Why a function cannot be had; `text` follows its address in a sentence."""

    code: int
    text: str


def requested(wanted: Configuration) -> PciFunction | None:
    """Return the function a configuration names, None if any VF of its master will do.

    Raises NoSuchDeviceError, and CniError (7) where deviceID, master and vf disagree.
    """
    if wanted.device_id is not None:
        return _agreeing(wanted, pci.by_address(wanted.device_id))
    if wanted.pf_only:
        return pci.pf_itself(wanted.master)
    if wanted.vf is not None:
        return pci.by_index(wanted.master, wanted.vf)
    pci.count_vfs(wanted.master)
    return None


def _agreeing(wanted: Configuration, function: PciFunction) -> PciFunction:
    """Return the function that a PCI address names, under the PF's name that the master is."""
    if wanted.master and wanted.master != function.pf:
        names = pci.pf_names(function)
        if wanted.master not in names:
            pf = " or ".join(names) or sysfs.pf_address(function.address)
            raise CniError(
                errors.INVALID_CONFIGURATION,
                "deviceID and master disagree",
                f"{function.address} is a VF of {pf}, not of {wanted.master}: "
                "leave one of the two out",
            )
        function = function._replace(pf=wanted.master)
    if wanted.vf not in (None, function.vf):
        raise CniError(
            errors.INVALID_CONFIGURATION,
            "deviceID and vf disagree",
            f"{function.address} is VF {function.vf} of its PF, not {wanted.vf}: "
            "leave one of the two out",
        )
    return function


def select(records: AttachmentRecords, host: Socket, call: Call, wanted: Configuration) -> OnHost:
    """Return the wanted function, or the first free VF of the master, and hold its lock.

    A function that is back on the host although a record claims it was lost by its attachment: the
    ADD was killed, or the pod's namespace died without a DEL. That is taken down first.

    Raises NoSuchDeviceError where PF or VF do not exist, and CniError: 102 where the host itself
    uses the function, 11 where it is another attachment's and may become free, 7 for a function
    that no configuration can have.
    """
    function = requested(wanted)
    if function is None:
        free = _first_free(records, host, call, wanted.master)
        log.note(*free.function)
        return free
    log.note(*function)
    records.lock(function)
    claimed = _claim(records, host, call, function)
    if isinstance(claimed, _Obstacle):
        text = f"{function.address} {claimed.text}"
        raise CniError(claimed.code, f"{function} is not free", text)
    return claimed


def _first_free(records: AttachmentRecords, host: Socket, call: Call, pf: str) -> OnHost:
    obstacles: list[str] = []
    for function in pci.vfs_of(pf):
        if not sysfs.netdev_names(function.address):
            continue  # in its pod, or another driver's
        if not records.try_lock(function.address):
            continue  # being attached or given back
        claimed = _claim(records, host, call, function)
        if isinstance(claimed, OnHost):
            return claimed
        records.unlock(function.address)
        obstacles.append(f"{function.address} {claimed.text}")
    raise CniError(
        errors.TRY_AGAIN_LATER,
        f"no free VF on {pf}",
        f"all {pci.count_vfs(pf)} VFs are in use, by pods, by the host or by a driver without "
        f"network device{_examples(obstacles)}",
    )


def _examples(obstacles: list[str]) -> str:
    """Return the first few of what may be hundreds, to end a sentence with."""
    return f": {'; '.join(obstacles[:_EXAMPLES])}" if obstacles else ""


def _claim(
    records: AttachmentRecords, host: Socket, call: Call, function: PciFunction
) -> OnHost | _Obstacle:
    """Return a function whose lock is held, or the obstacle in its way."""
    try:
        claimant = records.claimant(function.address)
    except UnreadableError as error:
        return _Obstacle(error.code, f"has a record: {error}")
    link = find_on_host(host, function.address)
    if claimant is not None and (link is not None or _pod_is_gone(claimant)):
        problems = [str(problem) for problem in take_down(records, host, claimant, call).problems]
        if records.claims(claimant):
            return _Obstacle(errors.TRY_AGAIN_LATER, _lost(claimant, problems))
        _tell_lost(function, claimant)
        claimant, link = None, find_on_host(host, function.address)
    if claimant is not None:
        return _Obstacle(errors.TRY_AGAIN_LATER, f"belongs to {claimant.owner} until its DEL")
    pod = goplugin.pod_of(records, function.address)
    pod_lives = pod != "" and netns.exists(pod)
    if link is None and pod_lives:
        return _Obstacle(errors.TRY_AGAIN_LATER, "was given to a pod by another SR-IOV plugin")
    obstacle = _obstacle(records, host, function, link)
    if obstacle is not None:
        return obstacle
    if pod and not pod_lives:
        return _restored(records, host, function, link)
    return _cleared(records, host, function, link)


def _cleared(
    records: AttachmentRecords, host: Socket, function: PciFunction, link: Link | None
) -> OnHost | _Obstacle:
    """Clear a free function of an earlier pod's leavings that could not be removed at the time."""
    try:
        noted = records.unrestored(function.address)
        if noted is not None:
            restore_noted(records, host, noted, link)
            link = find_on_host(host, function.address)
    except CniError as error:
        return _Obstacle(errors.TRY_AGAIN_LATER, f"is not as it was yet: {error}")
    if link is not None and (attached := detach_xdp(host, link)):
        return _Obstacle(errors.DEVICE_IN_USE, f"({link.name}) runs an XDP program: {attached[0]}")
    return OnHost(function, pci.slot_of(function), link)


def _restored(
    records: AttachmentRecords, host: Socket, function: PciFunction, link: Link | None
) -> OnHost | _Obstacle:
    """Restore a function whose pod, attached by the Go plugin, died without a DEL."""
    from sriov_cni.attachment.goplugin.attachments import lost  # no usual ADD comes here

    loser = lost(records, host, function.address)
    if loser is not None:
        problems, refused, remarks = restore(host, loser.function, loser.before, link)
        log.write_all("warning", remarks)
        if problems:
            return _Obstacle(errors.TRY_AGAIN_LATER, _lost(loser, problems))
        if refused:
            records.note_unrestored(loser, refused)
        _tell_lost(function, loser)
    goplugin.end_claim(records, function.address)
    return _cleared(records, host, function, find_on_host(host, function.address))


def _pod_is_gone(record: Record) -> bool:
    """Tell whether a function that never left the host, for user space, has lost its pod."""
    return record.before.device is None and not netns.exists(record.netns)


def _tell_lost(function: PciFunction, record: Record) -> None:
    log.write("warning", f"{function} was lost by {record.owner} without a DEL: restored it")


def _lost(record: Record, problems: list[str]) -> str:
    return f"was lost by {record.owner} and could not be restored: {'; '.join(problems)}"


def _obstacle(
    records: AttachmentRecords, host: Socket, function: PciFunction, link: Link | None
) -> _Obstacle | None:
    """Return why the host's use of a function, or its kind, keeps pods from it."""
    if link is None:
        reason = host_use.why_no_netdev(function.address)
        return _Obstacle(errors.DEVICE_IN_USE, reason) if reason else None
    if reason := host_use.why_not_ethernet(link):
        return _Obstacle(errors.INVALID_CONFIGURATION, reason)
    reason = host_use.why_used(host, link)
    if reason is None and function.vf is None and sysfs.num_vfs(link.name):
        taken = records.claimed_addresses() & {vf.address for vf in pci.vfs_of(link.name)}
        if taken:
            reason = f"({link.name}) has VFs that pods use: {', '.join(taken)}"
    return _Obstacle(errors.DEVICE_IN_USE, reason) if reason else None

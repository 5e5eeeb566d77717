# SPDX-License-Identifier: Apache-2.0
"""The MAC of a VF, which is two: the administrative one (PF) and the effective one (VF device).

Drivers differ in how the two are tied. igb lets the VF take the administrative MAC over when it
goes down, and forbids the VF any other unless it is trusted; mlx5 wants both set; iavf resets the
VF and answers "busy" meanwhile, or EACCES while the PF's MAC is not there yet. So nothing here
waits for a fixed time or knows a driver's name: each step follows from the kernel's answer to the
one before.

Devices are on the host, down. Without a slot there is only the effective MAC. All
functions raise KernelError with the last refusal.
"""

import errno
from collections.abc import Callable, Iterator
from functools import partial

from sriov_cni.device.pci import VfSlot
from sriov_cni.kernel import links, vfs
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.patience import BUSY, patiently

_TIED = (errno.EADDRNOTAVAIL, errno.EPERM, errno.EACCES, errno.EINVAL)
# Of a VF whose PF has set or allows the very same MAC: it is not there yet (iavf_set_mac()).
_NOT_YET = (errno.EPERM, errno.EACCES)


def give(host: Socket, slot: VfSlot | None, link: Link | None, mac: str) -> None:
    """Make `mac` both the administrative and the effective MAC of a VF; `link` None: no device."""
    if slot is not None:
        patiently(vfs.set_mac, host, *slot, mac)
    if link is not None:
        _make_effective(host, slot, link, mac, mac)


def make_pf_learn_mac(host: Socket, link: Link) -> None:
    """Have a VF that chooses its own MAC tell the PF about it; the PF reports none at present.

    An igb PF delivers nothing to a VF after its administrative MAC was set back to zero, until the
    VF's driver sends its MAC again, which it does only when that changes. So it is changed, and
    changed back.
    """
    first, rest = link.mac[:2], link.mac[2:]
    neighbour = f"{int(first, 16) ^ 0x02:02x}{rest}"
    try:
        links.set_mac(host, link, neighbour)
    except KernelError as refusal:
        if refusal.errno not in BUSY:  # busy, it may do it yet
            return  # a VF that may not choose has nothing to tell
    _make_effective(host, None, link, link.mac, vfs.NO_MAC)


def restoring_steps(
    host: Socket,
    slot: VfSlot | None,
    link: Link | None,
    administrative: str | None,
    own: str | None,
) -> Iterator[Callable[[], None]]:
    """Yield the steps back to the MACs that a function had: `administrative` and its `own` one."""
    if administrative is None:
        slot = None
    if slot is not None and administrative is not None:
        yield partial(_set_administrative, host, slot, administrative, own)
    if link is not None and own is not None:
        yield partial(_make_effective, host, slot, link, own, administrative or vfs.NO_MAC)
    if slot is not None and administrative is not None:
        # igb reports a MAC that the VF chose itself as if the PF had set it
        yield partial(_set_administrative, host, slot, administrative, own)


def _set_administrative(host: Socket, slot: VfSlot, mac: str, own: str | None) -> None:
    """Make `mac` the administrative MAC, if it is not; see `_choose`."""
    now = patiently(vfs.attributes, host, *slot)
    if now is not None and now.mac != mac:
        _choose(host, slot, mac, own)


def _choose(host: Socket, slot: VfSlot, mac: str, own: str | None) -> None:
    """Set the administrative MAC; a PF that refuses NO_MAC gets the VF's `own` instead.

    qede, bnx2x, be2net and octeontx2 refuse NO_MAC (is_valid_ether_addr() in their
    ndo_set_vf_mac): they cannot go back to how it was before the first MAC was set.
    """
    try:
        patiently(vfs.set_mac, host, *slot, mac)
    except KernelError as refusal:
        if mac != vfs.NO_MAC or own is None or refusal.errno != errno.EINVAL:
            raise
        patiently(vfs.set_mac, host, *slot, own)


def _make_effective(
    host: Socket, slot: VfSlot | None, link: Link, mac: str, administrative: str
) -> None:
    """Make `mac` effective, with `administrative`, which is in force, still so afterwards."""

    def attempt() -> None:
        now = links.get(host, link.ifindex)
        if now is None or now.mac != mac:
            links.set_mac(host, link, mac)

    allowed = slot is not None and administrative in (mac, vfs.NO_MAC)
    try:
        # Lifting the administrative MAC would only have such a driver reset the VF once more.
        patiently(attempt, also=_NOT_YET if allowed else ())
    except KernelError as refusal:
        if refusal.errno not in _TIED or slot is None:
            raise
        _untie(host, slot, link, mac, administrative)


def _untie(host: Socket, slot: VfSlot, link: Link, mac: str, administrative: str) -> None:
    """Make `mac` effective where the driver ties it to the administrative one."""
    try:  # lift that for the moment
        patiently(vfs.set_mac, host, *slot, vfs.NO_MAC)
        patiently(links.set_mac, host, link, mac)
    except KernelError:
        # left is the driver's own way: it takes the administrative MAC over when it goes down
        _choose(host, slot, administrative, mac)
        patiently(links.set_up, host, link, True)
        patiently(links.set_up, host, link, False)
        now = links.get(host, link.ifindex)
        if now is None or now.mac != mac:
            raise
    else:
        _choose(host, slot, administrative, mac)

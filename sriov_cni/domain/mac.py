# SPDX-License-Identifier: Apache-2.0
"""The MAC of a VF, which is two: the administrative one (PF) and the effective one (VF device).

Drivers differ in how the two are tied. igb lets the VF take the administrative MAC over when it
goes down, and forbids the VF any other unless it is trusted; mlx5 wants both set; iavf resets the
VF and answers "busy" meanwhile. So nothing here waits for a fixed time or knows a driver's name:
each step follows from what the kernel answered to the one before.
"""

import errno
import time

from sriov_cni.domain.record import Snapshot
from sriov_cni.kernel import links, vfs
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import KernelError, Socket

_PATIENCE = 2.0  # seconds for a driver that answers "busy"; iavf's reset takes about one
_BUSY = (errno.EBUSY, errno.EAGAIN)
_TIED = (errno.EADDRNOTAVAIL, errno.EPERM, errno.EACCES, errno.EINVAL)


def give(host: Socket, pf: str, vf: int, link: Link, mac: str, administered: bool) -> None:
    """Make `mac` both the administrative and the effective MAC of a VF.

    The device is on the host, down. `administered` is false where the driver has no VF
    administration. Raises KernelError with the last refusal.
    """
    if administered:
        vfs.set_mac(host, pf, vf, mac)
    _make_effective(host, pf, vf, link, mac, mac if administered else None)


def register(host: Socket, pf: str, vf: int, link: Link) -> None:
    """Have a VF that chooses its own MAC tell the PF about it; the PF reports none at present.

    An igb PF delivers nothing to a VF after its administrative MAC was set back to zero, until the
    VF's driver sends its MAC again, which it does only when that changes. So it is changed, and
    changed back. Raises KernelError.
    """
    first, rest = link.mac[:2], link.mac[2:]
    neighbour = f"{int(first, 16) ^ 0x02:02x}{rest}"
    try:
        links.set_mac(host, link, neighbour)
    except KernelError:
        return  # a VF that may not choose has nothing to tell
    _make_effective(host, pf, vf, link, link.mac, None)


def give_back(host: Socket, pf: str, vf: int, link: Link | None, before: Snapshot) -> None:
    """Restore the MACs of a VF that is back on the host, down; `link` None: it has no device."""
    administrative = before.attributes.mac if before.attributes is not None else None
    if administrative is not None:
        _set_administrative(host, pf, vf, administrative)
    if link is not None:
        _make_effective(host, pf, vf, link, before.mac, administrative)
    if administrative is not None:  # igb reports what the VF chose itself as if it were set
        _set_administrative(host, pf, vf, administrative)


def _set_administrative(host: Socket, pf: str, vf: int, mac: str) -> None:
    now = vfs.attributes(host, pf, vf)
    if now is not None and now.mac != mac:
        vfs.set_mac(host, pf, vf, mac)


def _make_effective(
    host: Socket, pf: str, vf: int, link: Link, mac: str, administrative: str | None
) -> None:
    deadline = time.monotonic() + _PATIENCE
    pause = 0.001
    while True:
        try:
            now = links.get(host, link.ifindex)
            if now is None or now.mac != mac:
                _set(host, pf, vf, link, mac, administrative)
            return
        except KernelError as refusal:
            if refusal.errno not in _BUSY or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def _set(host: Socket, pf: str, vf: int, link: Link, mac: str, administrative: str | None) -> None:
    try:
        links.set_mac(host, link, mac)
    except KernelError as refusal:
        if refusal.errno not in _TIED or administrative is None:
            raise
    else:
        return
    try:  # tied to the administrative MAC: lift that for the moment
        vfs.set_mac(host, pf, vf, vfs.NO_MAC)
        links.set_mac(host, link, mac)
    except KernelError:
        # left is the driver's own way: it takes the administrative MAC over when it goes down
        vfs.set_mac(host, pf, vf, administrative)
        links.set_up(host, link, True)
        links.set_up(host, link, False)
        now = links.get(host, link.ifindex)
        if now is None or now.mac != mac:
            raise
    else:
        vfs.set_mac(host, pf, vf, administrative)

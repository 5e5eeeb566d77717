# SPDX-License-Identifier: Apache-2.0
"""The MAC of a VF, which is two: the administrative one (PF) and the effective one (VF device).

Drivers differ in how the two are tied. igb lets the VF take the administrative MAC over when it
goes down, and forbids the VF any other unless it is trusted; mlx5 wants both set; iavf resets the
VF and answers "busy" meanwhile. So nothing here waits for a fixed time or knows a driver's name:
each step follows from what the kernel answered to the one before.

Devices are on the host, down. Without an administrator there is only the effective MAC. All
functions raise KernelError with the last refusal.
"""

import errno
import time

from sriov_cni.domain.function import Administrator
from sriov_cni.domain.record import Snapshot
from sriov_cni.kernel import links, vfs
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import KernelError, Socket

_PATIENCE = 2.0  # seconds for a driver that answers "busy"; iavf's reset takes about one
_BUSY = (errno.EBUSY, errno.EAGAIN)
_TIED = (errno.EADDRNOTAVAIL, errno.EPERM, errno.EACCES, errno.EINVAL)


def give(host: Socket, admin: Administrator | None, link: Link | None, mac: str) -> None:
    """Make `mac` both the administrative and the effective MAC of a VF; `link` None: no device."""
    if admin is not None:
        vfs.set_mac(host, *admin, mac)
    if link is not None:
        _make_effective(host, admin, link, mac, mac)


def register(host: Socket, link: Link) -> None:
    """Have a VF that chooses its own MAC tell the PF about it; the PF reports none at present.

    An igb PF delivers nothing to a VF after its administrative MAC was set back to zero, until the
    VF's driver sends its MAC again, which it does only when that changes. So it is changed, and
    changed back.
    """
    first, rest = link.mac[:2], link.mac[2:]
    neighbour = f"{int(first, 16) ^ 0x02:02x}{rest}"
    try:
        links.set_mac(host, link, neighbour)
    except KernelError:
        return  # a VF that may not choose has nothing to tell
    _make_effective(host, None, link, link.mac, vfs.NO_MAC)


def give_back(
    host: Socket, admin: Administrator | None, link: Link | None, before: Snapshot
) -> None:
    """Restore the MACs that a function had before."""
    administrative = before.attributes.mac if before.attributes is not None else None
    if administrative is None:
        admin = None
    if admin is not None and administrative is not None:
        _set_administrative(host, admin, administrative)
    if link is not None and before.device is not None:
        _make_effective(host, admin, link, before.device.mac, administrative or vfs.NO_MAC)
    if admin is not None and administrative is not None:
        # igb reports what the VF chose itself as if it had been set
        _set_administrative(host, admin, administrative)


def _set_administrative(host: Socket, admin: Administrator, mac: str) -> None:
    now = vfs.attributes(host, *admin)
    if now is not None and now.mac != mac:
        vfs.set_mac(host, *admin, mac)


def _make_effective(
    host: Socket, admin: Administrator | None, link: Link, mac: str, administrative: str
) -> None:
    """Make `mac` effective, with `administrative` in force afterwards; wait while it is busy."""
    deadline = time.monotonic() + _PATIENCE
    pause = 0.001
    while True:
        try:
            now = links.get(host, link.ifindex)
            if now is None or now.mac != mac:
                _set(host, admin, link, mac, administrative)
            return
        except KernelError as refusal:
            if refusal.errno not in _BUSY or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def _set(
    host: Socket, admin: Administrator | None, link: Link, mac: str, administrative: str
) -> None:
    try:
        links.set_mac(host, link, mac)
    except KernelError as refusal:
        if refusal.errno not in _TIED or admin is None:
            raise
    else:
        return
    try:  # tied to the administrative MAC: lift that for the moment
        vfs.set_mac(host, *admin, vfs.NO_MAC)
        links.set_mac(host, link, mac)
    except KernelError:
        # left is the driver's own way: it takes the administrative MAC over when it goes down
        vfs.set_mac(host, *admin, administrative)
        links.set_up(host, link, True)
        links.set_up(host, link, False)
        now = links.get(host, link.ifindex)
        if now is None or now.mac != mac:
            raise
    else:
        vfs.set_mac(host, *admin, administrative)

# SPDX-License-Identifier: Apache-2.0
"""What the host uses its network devices for: device/host_use.py's judgement, of all at once.

One listing of addresses serves all devices, what sits on them is read from above (a thousand VFs
have nothing on top, a node has few devices that could be that), and only devices that are up can
carry a route.
"""

import errno
import socket
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from sriov_cni.device import host_use
from sriov_cni.kernel import addresses, bus, routes
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.netlink import Socket


def uses(
    host: Socket, netdevs: Collection[str], others: Iterable[str], by_address: Mapping[str, str]
) -> dict[str, str]:
    """Return why the host uses network devices, by their names; the sentences follow an address.

    `others` are the host's devices that could sit on them, `by_address` is what `addressed` says of
    them. Raises KernelError.
    """
    reasons = {netdev: reason for netdev in netdevs if (reason := _route(host, netdev))}
    reasons |= by_address
    above: dict[str, list[str]] = {}
    for other in sorted(others):
        for lower in bus.lower_names(other):
            above.setdefault(lower, []).append(other)
    for netdev in above.keys() & set(netdevs):
        grouped = bus.has_master(netdev)
        reasons[netdev] = (
            host_use.in_a_group(netdev) if grouped else host_use.below(netdev, above[netdev])
        )
    return reasons


def addressed(host: Socket, netdevs: Collection[str]) -> dict[str, str]:
    """Return which of the network devices have an address of the host's; raise KernelError."""
    reasons = {}
    for index, found in addresses.by_link(host).items():
        if host_use.why_addressed("", found):
            with suppress(OSError):  # it is gone
                name = socket.if_indextoname(index)
                if name in netdevs:
                    reasons[name] = host_use.why_addressed(name, found) or ""
    return reasons


def _route(host: Socket, netdev: str) -> str | None:
    index = bus.index_if_up(host, netdev)
    try:
        has_default = index is not None and routes.has_default(host, index)
    except KernelError as error:
        if error.errno != errno.ENODEV:  # it is gone
            raise
        return None
    return host_use.carrying_default(netdev) if has_default else None

# SPDX-License-Identifier: Apache-2.0
"""Announcing a pod's addresses: at once where that works, later where it does not yet.

A VF has no carrier for seconds after it comes up, and frames sent until then are lost. An IPv6
address must not be announced before duplicate address detection is done (RFC 4862, 5.4): a card
that reflects its own multicasts would make it fail. And closing the socket that sends takes as long
as moving a device (packet_release() in net/packet/af_packet.c waits for an RCU grace period). ADD
waits for none of this: a child process does, for a limited time, and holds nothing of the pod's
while it waits, so that neither a DEL nor the end of the pod has to wait for it.
"""

import os
import time

from sriov_cni.cni import log
from sriov_cni.cni.result import Ip
from sriov_cni.kernel import addresses, links, netns
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netns import Pod

_CARRIER_PATIENCE = 10.0  # seconds; a VF mostly has carrier within 8
_PAUSE = 0.2  # seconds between two looks

Addresses = frozenset[tuple[int, str]]  # IP version and address


def announce(path: str, link: Link, ips: tuple[Ip, ...]) -> None:
    """Have the neighbours of the pod at `path` told about its addresses, as far as possible."""
    unannounced = frozenset((ip.address.version, str(ip.address.ip)) for ip in ips)
    try:
        in_child = bool(unannounced) and os.fork() == 0
    except OSError as error:
        log.write("warning", f"the addresses of {link.name} are not announced: {error}")
        return
    if in_child:
        try:
            _detach()
            _announce(path, link, unannounced)
        finally:
            os._exit(0)


def _announce_ready(pod: Pod, link: Link, unannounced: Addresses) -> Addresses:
    """Announce the addresses that neighbours may hear of now; return these, and the duplicates."""
    if not link.carrier or not unannounced:
        return frozenset()
    listed = addresses.list_of(pod.socket, link.ifindex)
    tentative = {a.address for a in listed if a.tentative}
    ready = frozenset(address for address in unannounced if address[1] not in tentative)
    duplicates = unannounced & {(6, a.address) for a in listed if a.duplicate}
    for _, address in sorted(duplicates):
        log.write("error", f"{link.name} cannot use {address}: another station there has it")
    from sriov_cni.kernel import neighbours  # the child alone needs it

    neighbours.announce(pod, link, sorted(ready))
    return ready | duplicates


def _detach() -> None:
    """Let go of the caller's session, files and pipes: a runtime waits for them to be closed."""
    os.setsid()
    os.closerange(0, netns.host())
    os.closerange(netns.host() + 1, 256)
    for _ in range(3):
        os.open(os.devnull, os.O_RDWR)


def _announce(path: str, link: Link, unannounced: Addresses) -> None:
    deadline = time.monotonic() + _CARRIER_PATIENCE
    while True:
        try:
            # opened anew each time: held open, a namespace outlives its pod and keeps the VF
            with netns.pod_at(path) as pod:
                now = links.get(pod.socket, link.ifindex)
                if now is None or now.mac != link.mac:
                    return  # the VF went home, or the pod is another one
                unannounced -= _announce_ready(pod, now, unannounced)
        except (netns.NotANamespaceError, KernelError):
            return
        if not unannounced or time.monotonic() > deadline:
            return
        time.sleep(_PAUSE)

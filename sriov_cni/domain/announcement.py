# SPDX-License-Identifier: Apache-2.0
"""Announcing a pod's addresses: at once, and again when the VF's carrier comes.

A VF has no carrier for seconds after it comes up, and what is sent until then is lost. ADD does
not wait for that: a child process does, for a limited time, and holds nothing of the pod's
meanwhile, so that neither a DEL nor the end of the pod has to wait for it.
"""

import os
import time

from sriov_cni.cni import log
from sriov_cni.cni.result import Ip
from sriov_cni.kernel import links, neighbours, netns
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import KernelError
from sriov_cni.kernel.netns import Pod

_PATIENCE = 10.0  # seconds
_PAUSE = 0.2  # seconds between two looks


def announce(path: str, pod: Pod, link: Link, ips: tuple[Ip, ...]) -> None:
    """Tell the neighbours of the pod at `path` about its addresses, as far as that can be done."""
    addresses = [(ip.address.version, str(ip.address.ip)) for ip in ips]
    if not addresses:
        return
    try:
        neighbours.announce(pod, link, addresses)
    except KernelError as error:
        log.write("warning", str(error))
    if not link.carrier and os.fork() == 0:
        try:
            _detach()
            _announce_with_carrier(path, link, addresses)
        finally:
            os._exit(0)


def _detach() -> None:
    """Let go of the caller's session, files and pipes: a runtime waits for them to be closed."""
    os.setsid()
    os.closerange(0, 256)
    for _ in range(3):
        os.open(os.devnull, os.O_RDWR)


def _announce_with_carrier(path: str, link: Link, addresses: list[tuple[int, str]]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(_PAUSE)
        try:
            # opened anew each time: an open namespace outlives its pod, and the VF in it is lost
            with netns.pod_at(path) as pod:
                now = links.get(pod.socket, link.ifindex)
                if now is None or now.mac != link.mac:
                    return  # the VF went home, or the pod is another one
                if now.carrier:
                    neighbours.announce(pod, now, addresses)
                    return
        except (netns.NotANamespaceError, KernelError):
            return

# SPDX-License-Identifier: Apache-2.0
"""The node of tests/namespaces, seen from within the sandbox, and put in order after every case."""

import os
import shutil
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress

from sriov_cni.kernel import links, netns
from sriov_cni.kernel.netlink import Socket
from tests.node import Node

POD = "/run/netns/pod"
_TREES = ("/sys/class/net", "/sys/bus/pci/devices")


class SandboxNode(Node):
    """A host with one PF, eth1, two VFs and a pod; the neighbour of VF 0 is up."""

    def __init__(self) -> None:
        self.entering = ()
        self._build()

    def path(self, path: str) -> str:
        """Return the path itself: this process is on the host."""
        return path

    def _build(self) -> None:
        self.run("ip", "netns", "add", "pod")
        self.clear_trees()
        self.add_pf("eth1", vfs=2)
        self.write("/sys/class/net/lo/uevent", "")
        self.run("ip", "link", "set", "eth1v0p", "up")
        self._usual = self._devices()

    def clear_trees(self) -> None:
        """Empty sysfs, as far as the plugin looks at it."""
        for tree in _TREES:
            empty(tree)

    def put_in_order(self) -> str:
        """Make everything again if a device is changed; return what was."""
        now = self._devices()
        changed = sorted(now ^ self._usual)
        if changed:
            for name in ("eth1wire", "eth1v0p", "eth1v1p"):  # wherever their peers are now
                self.run("ip", "link", "delete", name)
            self.run("ip", "netns", "delete", "pod")
            self._build()
        return "; ".join(changed)

    def _devices(self) -> set[str]:
        """Return what functions and pod are like, without what changes by itself."""
        with netns.pod_at(POD) as pod, netns.inside(pod.namespace):
            found = {f"{name} in the pod" for _, name in socket.if_nameindex()}
        host = Socket()
        for name in ("eth1", "eth1v0", "eth1v1"):
            link = links.find(host, name)
            found.add(str(link._replace(ifindex=0, carrier=False) if link else f"no {name}"))
        host.close()
        return found


def empty(directory: str) -> None:
    """Remove everything in a directory."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)


def plant(directory: str, files: Mapping[bytes, bytes]) -> None:
    """Write files into a new directory as the plugin does, where their names can be files'."""
    for level in (os.path.dirname(directory), directory):
        os.makedirs(level, 0o700, exist_ok=True)
    for name, content in files.items():
        if name in (b"", b".", b"..") or b"/" in name or b"\0" in name or len(name) > 255:
            continue
        fd = os.open(os.path.join(directory.encode(), name), os.O_WRONLY | os.O_CREAT, 0o600)
        with open(fd, "wb") as file:
            file.write(content)


def end_processes() -> None:
    """End the processes that a call has left: the sandbox has its shell, this one, and those."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (1, os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(int(name), signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)

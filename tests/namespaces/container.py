# SPDX-License-Identifier: Apache-2.0
"""A container of an image on a node of its own, as the manifests in deploy/ have it run.

A root directory made of the image's archive, read-only, with a node's directories mounted in it,
and a process that has no capabilities. One remains that a cluster takes away, too: the test
itself needs CAP_SYS_CHROOT to start the process there.
"""

import os
import signal
import subprocess
from pathlib import Path

from tests.image import read, unpacked

_START = """
set -e
root=$1 plugins=$2 node=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$plugins" "$root/opt/cni/bin"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
for directory in lib lib64 usr; do
    mount --bind "$node/$directory" "$root/$directory"
    mount -o remount,bind,ro "$root/$directory"
done
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+sys_chroot chroot "$root" "$@"
"""


class Container:
    """An image unpacked, and the node that its containers run on."""

    def __init__(self, archive: bytes, root: Path, plugins: Path, node: Path = Path("/")) -> None:
        image = read(archive)
        with unpacked(image.layer) as opened:
            opened.extractall(root, filter="tar")
        plugins.mkdir(parents=True, exist_ok=True)
        self._entrypoint = image.config["config"]["Entrypoint"]
        self._environment = image.config["config"]["Env"]
        places = (str(root), str(plugins), str(node))
        unshare = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        self._starting = (*unshare, "sh", "-c", _START, "start", *places)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a container; what it says goes to one pipe."""
        return self._popen(*self._entrypoint, *arguments)

    def probe(self, *command: str) -> tuple[int, str]:
        """Execute a command as a probe does; return its exit status and its words."""
        process = self._popen(*command)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def _popen(self, *command: str) -> "subprocess.Popen[str]":
        # The programs of this machine start the container, those of the image are executed in it.
        return subprocess.Popen(
            (*self._starting, "/bin/env", "-i", *self._environment, *command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def kill(process: "subprocess.Popen[str]") -> None:
    """Kill a container, and return when nothing of it runs any more: nobody holds its pipe."""
    os.killpg(process.pid, signal.SIGKILL)  # it may be about to start, as more than one process
    process.communicate(timeout=60)


def first_line(process: "subprocess.Popen[str]") -> str:
    """Return what a container says first; that it waits for one that is just ending is passed over.

    An executable that a killed container has been trying holds its lock, but not its pipe.
    """
    assert process.stdout is not None
    lines = (line.rstrip("\n") for line in process.stdout)
    return next((line for line in lines if not line.endswith("; waiting for it")), "")

# SPDX-License-Identifier: Apache-2.0
"""A place where hostile input can do no harm: nothing of the machine can be written to from there.

Namespaces of mounts, network, processes and IPC; everything mounted is read-only but a few new
tmpfs and the directory to work in. /proc shows the namespace's own processes only, so that
no path leads to the machine's network; /dev has a null and no more.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

WRITABLE = ("/var/lib", "/run/netns", "/sys/class/net", "/sys/bus/pci/devices", "/dev")

_SET_UP = f"""
set -e
work=$1; shift
mount --make-rprivate /
mount --bind "$work" "$work"
mkdir -p {" ".join(WRITABLE)}
findmnt -rno TARGET | sort -u | while read -r mounted; do
    case $mounted in "$work" | /proc) continue ;; esac
    mount -o remount,bind,ro "$mounted"
done
for directory in {" ".join(WRITABLE)}; do mount -t tmpfs tmpfs $directory; done
mknod -m 666 /dev/null c 1 3
mkdir -m 700 /var/lib/cni
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc
ip link set lo up
"$@"
exit $?
"""
_UNSHARE = ("unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--mount-proc")


def run(work: str, module: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start a module of Python in a sandbox of its own; its stderr is the process's stdout."""
    shell: Sequence[str] = ("sh", "-c", _SET_UP, "sandbox", work)
    python = (sys.executable, "-B", "-m", module)
    return subprocess.Popen(
        [*_UNSHARE, "--kill-child", *shell, *python, *arguments],
        cwd=os.path.join(os.path.dirname(__file__), "..", ".."),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )

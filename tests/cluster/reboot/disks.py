# SPDX-License-Identifier: Apache-2.0
"""What of a node outlives a loss of power, kept in the directory that guests share."""

from pathlib import Path

from tests.plugin import run

PODS = ("one", "other")
KEPT = Path("/out/disks.tar")
# Everything a node keeps on its disk; the programs come from the guest's root in each boot.
DIRECTORIES = (
    *("var/lib/etcd", "var/lib/containerd", "var/lib/kubelet", "var/lib/cni"),
    *("etc/cni/net.d", "opt/cni/bin", "run/cluster/credentials"),
)


def save() -> None:
    """Keep the disks; all programs have ended. What is mounted for pods is not on a disk."""
    options = ("--one-file-system", "--xattrs", "--numeric-owner", "--ignore-failed-read")
    run("tar", "-C", "/", "-cf", str(KEPT), *options, *DIRECTORIES)


def restore() -> None:
    """Have the disks of the boot before."""
    run("tar", "-C", "/", "-xf", str(KEPT), "--xattrs", "--numeric-owner")

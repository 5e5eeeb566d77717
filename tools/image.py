# SPDX-License-Identifier: Apache-2.0
"""The image that installs the plugins on a cluster's nodes, made without docker or a registry.

    python3 -m tools.image BUSYBOX INSTALLER AGENT ARCHIVE [NAME...]

BUSYBOX is a static busybox, INSTALLER is release/sriov-cni.run, AGENT is the directory
release/sriov-node: the agent is executed from it, with the libraries of the node.

For those who have podman or docker, deploy/Containerfile makes the same image: with the same
files, environment and command.
"""

import os
import subprocess
import sys

from sriov_cni import __version__
from tools.oci import Entry, Image, archive, directory, link, program

NAME = f"localhost/sriov-cni:{__version__}"
ENTRY = os.path.join(os.path.dirname(os.path.dirname(__file__)), "deploy", "entry")
# Programs of the node come last: its flock serves where busybox has none (Debian's).
PATH = "/bin:/usr/bin"
# Where the node's directories are mounted. The root of a container is read-only.
MOUNT_POINTS: tuple[str, ...] = ("dev", "lib", "lib64", "opt/cni/bin", "proc", "sys", "tmp", "usr")
# And those that only the agent has.
MOUNT_POINTS += ("etc/pcidp", "etc/sriov", "run/cdi", "run/k8s.cni.cncf.io", "run/netns")
MOUNT_POINTS += ("run/sriov", "run/udev")
MOUNT_POINTS += (
    "var/lib/cni/sriov",
    "var/lib/kubelet/device-plugins",
    "var/lib/kubelet/pod-resources",
)


def plain(busybox: str) -> Image:
    """Return an image of a static busybox and nothing else; it sleeps, unless told otherwise.

    Raises OSError if the file cannot be read or executed.
    """
    return Image(_system(busybox), (), ("/bin/sleep", "infinity"), {"PATH": "/bin"})


def installing(busybox: str, installer: str, entry: str = ENTRY, agent: str = "") -> Image:
    """Return the image that installs the plugins, of a static busybox and the self-installing file.

    With the directory of the agent's bundle it is that of the agent, too.

    Raises OSError if a file cannot be read, or busybox cannot be executed.
    """
    own = (program("entry", _read(entry)), program("sriov-cni.run", _read(installer)))
    bundle = _tree(agent, "sriov-node") if agent else ()
    return Image((*_system(busybox), *own, *bundle), ("/entry",), ("install",), {"PATH": PATH})


def _system(busybox: str) -> tuple[Entry, ...]:
    """Return what a container has in any case: busybox, under the name of each of its programs."""
    listed = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, check=True, text=True)
    applets = set(listed.stdout.split()) - {"busybox"}
    return (
        *map(directory, MOUNT_POINTS),
        link("var/run", "../run"),  # under both names the node's records and runtime know it
        Entry("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n"),
        program("bin/busybox", _read(busybox)),
        *(link(f"bin/{applet}", "busybox") for applet in applets),
    )


def _tree(source: str, path: str) -> tuple[Entry, ...]:
    """Return the files and links below a directory, for a place in the image."""
    found = []
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        place = f"{path}/{entry.name}"
        if entry.is_symlink():
            found.append(link(place, os.readlink(entry.path)))
        elif entry.is_dir():
            found += _tree(entry.path, place)
        elif os.access(entry.path, os.X_OK):
            found.append(program(place, _read(entry.path)))
        else:
            found.append(Entry(place, _read(entry.path)))
    return tuple(found)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def main(arguments: list[str]) -> None:
    """Write the image's archive: the command at the head of this file."""
    if len(arguments) < 4:
        sys.exit("usage: python3 -m tools.image BUSYBOX INSTALLER AGENT ARCHIVE [NAME...]")
    busybox, installer, agent, target, *names = arguments
    content = archive(installing(busybox, installer, agent=agent), names or [NAME])
    with open(target, "wb") as file:
        file.write(content)
    print(f"wrote {target}: {', '.join(names or [NAME])}, {len(content) / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])

# SPDX-License-Identifier: Apache-2.0
"""The image that installs the plugins on a cluster's nodes, made without docker or a registry.

    python3 -m tools.image BUSYBOX INSTALLER ARCHIVE [NAME...]

BUSYBOX is a static busybox, INSTALLER is release/sriov-cni.run. deploy/Containerfile makes the same
image for those who have podman or docker: both have the same files, environment and command.
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
MOUNT_POINTS = ("dev", "lib", "lib64", "opt/cni/bin", "proc", "sys", "tmp", "usr")


def plain(busybox: str) -> Image:
    """Return an image of a static busybox and nothing else; it sleeps, unless told otherwise.

    Raises OSError if the file cannot be read or executed.
    """
    return Image(_system(busybox), (), ("/bin/sleep", "infinity"), {"PATH": "/bin"})


def installing(busybox: str, installer: str, entry: str = ENTRY) -> Image:
    """Return the image that installs the plugins, of a static busybox and the self-installing file.

    Raises OSError if a file cannot be read, or busybox cannot be executed.
    """
    own = (program("entry", _read(entry)), program("sriov-cni.run", _read(installer)))
    return Image((*_system(busybox), *own), ("/entry",), ("install",), {"PATH": PATH})


def _system(busybox: str) -> tuple[Entry, ...]:
    """Return what a container has in any case: busybox, under the name of each of its programs."""
    listed = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, check=True, text=True)
    applets = set(listed.stdout.split()) - {"busybox"}
    return (
        *map(directory, MOUNT_POINTS),
        Entry("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n"),
        program("bin/busybox", _read(busybox)),
        *(link(f"bin/{applet}", "busybox") for applet in applets),
    )


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def main(arguments: list[str]) -> None:
    """Write the image's archive: the command at the head of this file."""
    if len(arguments) < 3:
        sys.exit("usage: python3 -m tools.image BUSYBOX INSTALLER ARCHIVE [NAME...]")
    busybox, installer, target, *names = arguments
    content = archive(installing(busybox, installer), names or [NAME])
    with open(target, "wb") as file:
        file.write(content)
    print(f"wrote {target}: {', '.join(names or [NAME])}, {len(content) / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])

# SPDX-License-Identifier: Apache-2.0
"""The node's files: /etc/sriov/node.json, and node.d/*.json beside it, in the order of their names.

They are one document for those who prepare the node and for those who announce its devices: lists
of all files add up, and each reader takes the keys that are its own.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

from sriov_cni.cni.document import JsonObject, shown
from sriov_node.fields import Fault, decode

DIRECTORY = "/etc/sriov"
LARGEST = 1 << 20  # bytes; a ConfigMap can have no more
FUNCTIONS, RESOURCES, MODULES, RECONCILE = "functions", "resources", "modules", "reconcile"
KEYS = (FUNCTIONS, RESOURCES, MODULES, RECONCILE)
_FILE, MORE = "node.json", "node.d"
_RIGHT = "a JSON object with functions and resources"


class NodeFile(NamedTuple):
    """One file: its path and what it says."""

    path: str
    values: JsonObject


class NodeFiles(NamedTuple):
    """All files of a directory that are JSON objects, and what is wrong with the others."""

    files: tuple[NodeFile, ...] = ()
    faults: tuple[Fault, ...] = ()


def read(directory: str = DIRECTORY) -> NodeFiles:
    """Return what a directory's files say; one without files wants nothing, which is no fault."""
    files, faults = [], []
    try:
        paths = list(_paths(directory))
    except OSError as error:
        fault = Fault("", f"directory {directory}/{MORE}", f"unreadable ({error.strerror})", _RIGHT)
        return NodeFiles(faults=(fault,))
    for path in paths:
        try:
            content = read_bounded(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            faults.append(Fault("", f"file {path}", f"unreadable ({error.strerror})", _RIGHT))
            continue
        if len(content) > LARGEST:
            faults.append(Fault("", f"file {path}", f"longer than {LARGEST} bytes", "shorter"))
            continue
        try:
            value = decode(content)
        except ValueError as error:
            faults.append(Fault("", f"file {path}", f"not JSON ({error})", _RIGHT))
            continue
        if isinstance(value, dict):
            files.append(NodeFile(path, value))
        else:
            faults.append(Fault("", f"file {path}", shown(value), _RIGHT))
    return NodeFiles(tuple(files), tuple(faults))


def read_bounded(path: str) -> bytes:
    """Return a file's content, of a long one a byte more than LARGEST; raise OSError."""
    # O_NONBLOCK: opening a FIFO must not wait for a writer
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        return file.read(LARGEST + 1) or b""


def _paths(directory: str) -> Iterator[str]:
    yield f"{directory}/{_FILE}"
    try:
        names = sorted(os.listdir(f"{directory}/{MORE}"))
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (f"{directory}/{MORE}/{name}" for name in names if _is_meant(name))


def _is_meant(name: str) -> bool:
    """Tell a file from an editor's backup, and from the links of a ConfigMap."""
    return name.endswith(".json") and not name.startswith(".")

# SPDX-License-Identifier: Apache-2.0
"""What sysfs says of PF and VFs: counts, links, names, drivers."""

import json
import os
from typing import Any

from tests.hostile.case import Case, environment
from tests.hostile.fuzz_target import FuzzTarget
from tests.hostile.node import SandboxNode
from tests.networks import L2
from tests.plugin import Document

_ROOT = "/sys"
_PF, _VF = "bus/pci/devices/0000:01:00.0", "bus/pci/devices/0000:01:10.0"
# A string is a file's content, a list holds the names of empty directories, an object a link.
TREE: dict[str, Any] = {
    "class/net/eth1/phys_port_name": "p0\n",
    "class/net/eth1/device": {"to": f"../../../{_PF}"},
    f"{_PF}/sriov_totalvfs": "8\n",
    f"{_PF}/sriov_numvfs": "1\n",
    f"{_PF}/net": ["eth1"],
    f"{_PF}/virtfn0": {"to": "../0000:01:10.0"},
    f"{_VF}/net": ["eth1v0"],
    f"{_VF}/driver": {"to": "../../../bus/pci/drivers/vethvf"},
    f"{_VF}/physfn": {"to": "../0000:01:00.0"},
}
_REQUESTS: tuple[Document, ...] = (
    {},
    {"deviceID": "0000:01:10.0"},
    {"pfOnly": True},
    {"vf": 0, "vlan": 5},
)
_VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {f"{_VF}/net": []},
    {f"{_VF}/net": None, f"{_VF}/driver": {"to": "vfio-pci"}},
    {f"{_PF}/net": ["eth1", "eth1v1"], "class/net/eth1v1/phys_port_name": "pf0vf0"},
    {"class/net/eth1/device": {"to": "../../../virtio0"}, "virtio0/sriov_numvfs": "0"},
)


def seeds() -> list[Case]:
    """Return each kind of request on each kind of card."""
    return [
        Case(
            environment(command, CNI_ARGS=""),
            json.dumps(L2 | request).encode(),
            (json.dumps(TREE | variant).encode(),),
        )
        for request in _REQUESTS
        for variant in _VARIANTS
        for command in ("ADD", "STATUS")
    ]


def arrange(node: SandboxNode, case: Case) -> None:
    """Make the tree, as far as the case's third part is one."""
    node.clear_trees()
    try:
        tree = json.loads(case.part(0))
    except (ValueError, RecursionError):
        return
    for path, content in tree.items() if isinstance(tree, dict) else ():
        whole = os.path.join(_ROOT, path)
        if not path.startswith(("class/net/", "bus/pci/devices/")) or ".." in path:
            continue
        try:
            _make(whole, content)
        except (OSError, ValueError):
            continue


def _make(path: str, content: Any) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    match content:
        case str():
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
        case {"to": str(target)} if not target.startswith("/"):
            os.symlink(target, path)
        case list():
            for name in content:
                if isinstance(name, str) and "/" not in name:
                    os.makedirs(os.path.join(path, name), exist_ok=True)


TARGET = FuzzTarget("sriov", seeds, arrange)

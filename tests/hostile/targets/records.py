# SPDX-License-Identifier: Apache-2.0
"""Records and what else may lie in the state directory when a command looks there."""

import json

from sriov_cni.kernel.sysfs import boot_id
from tests.hostile.case import Case, environment
from tests.hostile.fuzz_target import FuzzTarget
from tests.hostile.node import SandboxNode, plant
from tests.hostile.targets.configurations import PREVIOUS
from tests.networks import DUAL_STACK, L2
from tests.plugin import Document

_BOOT = "this boot"
_DEVICE: Document = {
    "name": "eth1v0",
    "alternative_names": ["storage"],
    "mac": "66:d8:02:77:aa:aa",
    "mtu": 1500,
    "up": True,
    "parent": "",
}
_SETTINGS: Document = {
    "flags": 0x1080,
    "broadcast": "ff:ff:ff:ff:ff:ff",
    "queue_length": 1000,
    "link_mode": 0,
    "alias": "storage",
    "group": 0,
    "gso_max_size": 65536,
    "gso_max_segs": 65535,
    "gro_max_size": 65536,
}
_ATTRIBUTES: Document = {
    "mac": "00:00:00:00:00:00",
    "vlan": 0,
    "vlan_qos": 0,
    "vlan_proto": "802.1q",
    "spoofchk": True,
    "trust": False,
    "link_state": "auto",
    "min_tx_rate": 0,
    "max_tx_rate": 0,
}
RECORD: Document = {
    "format": 1,
    "attachment": {"container_id": "pod", "ifname": "net1", "netns": "/run/netns/pod"},
    "network": "layer2",
    "boot": _BOOT,
    "function": {"pf": "eth1", "vf": 0, "address": "0000:01:10.0"},
    "before": {"device": _DEVICE, "attributes": None},
    "arguments": "VF=0",
    "config": L2,
}
RECORDS: dict[str, Document] = {
    "0000:01:10.0,pod,net1": RECORD,
    "0000:01:10.0,other,net1": RECORD
    | {"attachment": {"container_id": "other", "ifname": "net1", "netns": "/run/netns/none"}},
    "returned,pod,net1": RECORD | {"boot": "another boot", "config": DUAL_STACK},
    "0000:01:10.1,pod,net1": RECORD
    | {"function": {"pf": "eth1", "vf": 1, "address": "0000:01:10.1"}}
    | {"before": {"device": None, "attributes": _ATTRIBUTES}},
    "0000:01:10.0,pod,net2": RECORD
    | {"attachment": {"container_id": "pod", "ifname": "net2", "netns": "/run/netns/pod"}}
    | {"before": {"device": _DEVICE, "attributes": _ATTRIBUTES}},
    ".new-0000:01:10.0,pod,net1": RECORD,
    "unrestored,0000:01:10.0": RECORD | {"refused": ["setting the MTU: Invalid argument"]},
    "0000:01:10.0,pod,net3": RECORD
    | {"attachment": {"container_id": "pod", "ifname": "net3", "netns": "/run/netns/pod"}}
    | {"before": {"device": _DEVICE | {"settings": _SETTINGS}, "granted": False}},
}


def seeds() -> list[Case]:
    """Return each record as found by every command that looks for records."""
    config = L2 | {"prevResult": PREVIOUS, "cni.dev/valid-attachments": []}
    stdin = json.dumps(config).encode()
    return [
        Case(environment(command), stdin, (name.encode() + b"\0", json.dumps(record).encode()))
        for name, record in RECORDS.items()
        for command in ("ADD", "DEL", "CHECK", "GC", "STATUS")
    ]


def arrange(_: SandboxNode, case: Case) -> None:
    """Plant files: pairs of parts are names and contents; "this boot" in them means that."""
    names = [part.removesuffix(b"\0") for part in case.more[::2]]
    contents = [part.replace(_BOOT.encode(), boot_id().encode()) for part in case.more[1::2]]
    plant("/var/lib/cni/sriov", dict(zip(names, contents, strict=False)))


TARGET = FuzzTarget("sriov", seeds, arrange)

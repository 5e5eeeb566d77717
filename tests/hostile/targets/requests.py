# SPDX-License-Identifier: Apache-2.0
"""What a runtime or another plugin hands to `fixipam`; and the leases it finds."""

import json

from tests.hostile.case import Case, environment
from tests.hostile.fuzz_target import FuzzTarget
from tests.hostile.node import SandboxNode, plant
from tests.hostile.targets.configurations import COMMANDS, PREVIOUS
from tests.plugin import Document

_SUBNET: Document = {"type": "fixipam", "subnet": "10.1.0.0/24", "gateway": "10.1.0.1"}
_RANGES = [
    [{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5", "rangeEnd": "10.1.0.9"}],
    {"subnet": "fd00:1::/64", "gateway": "fd00:1::1", "rangeStart": "fd00:1::5"},
]
NETWORK: Document = {"cniVersion": "1.1.0", "name": "layer2", "prevResult": PREVIOUS}
PLANS: tuple[tuple[Document, str], ...] = (
    (_SUBNET, "IP=10.1.0.5"),
    (_SUBNET | {"rangeStart": "10.1.0.4", "rangeEnd": "10.1.0.5"}, ""),
    ({"type": "fixipam", "ranges": _RANGES, "routes": [{"dst": "::/0"}]}, "IP=10.1.0.6/24"),
    ({"type": "fixipam", "ranges": _RANGES, "dns": PREVIOUS["dns"]}, ""),
)
_LEASES = b"10.1.0.4,other,net1\n10.1.0.7,pod,net1\nfd00:1::6,pod,net1\n.new-10.1.0.8,pod,net1"

_RELEASED = b"10.1.0.5\n10.1.0.9\n10.1.0.5\nfd00:1::5\n"


def seeds() -> list[Case]:
    """Return every plan with every command, on a node that has leases."""
    keeping = {"cni.dev/valid-attachments": [{"containerID": "other", "ifname": "net1"}]}
    return [
        Case(
            environment(command, CNI_ARGS=arguments),
            json.dumps(NETWORK | {"ipam": plan} | keeping).encode(),
            (_LEASES, _RELEASED),
        )
        for plan, arguments in PLANS
        for command in COMMANDS
    ]


def arrange(_: SandboxNode, case: Case) -> None:
    """Plant leases, whose names are all there is to them, and the list of released addresses."""
    leases = dict.fromkeys(case.part(0).split(b"\n"), b"")
    plant("/var/lib/cni/fixipam/layer2", leases | {b"released": case.part(1)})


TARGET = FuzzTarget("fixipam", seeds, arrange)

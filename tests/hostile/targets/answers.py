# SPDX-License-Identifier: Apache-2.0
"""What an IPAM plugin answers: results, errors, and anything else on its stdout."""

import json
import os

from tests.hostile.case import Case, environment
from tests.hostile.fuzz_target import FuzzTarget
from tests.hostile.node import SandboxNode
from tests.hostile.targets.configurations import PREVIOUS
from tests.networks import L2
from tests.plugin import Document

_PLUGINS = "/var/lib/plugins"
_IP4: Document = {"ip": "10.1.0.5/24", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0"}]}
_IPS: Document = {"cniVersion": "1.1.0"} | {k: v for k, v in PREVIOUS.items() if k != "interfaces"}
ANSWERS: dict[str, Document] = {
    "1.1.0": _IPS,
    "1.1.0 dual stack": {
        "cniVersion": "1.1.0",
        "ips": [{"address": "10.1.0.5/24"}, {"address": "fd00:1::5/64", "gateway": "fd00:1::1"}],
        "routes": [{"dst": "::/0"}, {"dst": "10.9.0.0/16", "scope": 253}, {"dst": "10.8.0.0/16"}],
    },
    "0.3.1": {"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "10.1.0.5/24"}]},
    "0.1.0": {"ip4": _IP4, "ip6": {"ip": "fd00:1::5/64"}, "dns": PREVIOUS["dns"]},
}
ERROR: Document = {"cniVersion": "1.1.0", "code": 142, "msg": "out of stock", "details": "Monday"}


def seeds() -> list[Case]:
    """Return each answer as success of ADD, and as failure of every command."""
    stdin = json.dumps(L2 | {"ipam": {"type": "hostile"}, "prevResult": PREVIOUS}).encode()
    found = []
    for answer in (*ANSWERS.values(), ERROR, {}):
        for command, status in (("ADD", "0"), ("ADD", "1"), ("STATUS", "1"), ("CHECK", "9")):
            block = environment(command, CNI_PATH=_PLUGINS, STATUS=status)
            found.append(Case(block, stdin, (json.dumps(answer).encode(),)))
    return found


def arrange(_: SandboxNode, case: Case) -> None:
    """Write the plugin: it answers, and ends as the case says."""
    os.mkdir(_PLUGINS)
    status = case.environment.get(b"STATUS", b"0")
    end = b"exit %s" % status if status.isdigit() and len(status) < 3 else b"kill -9 $$"
    script = b"#!/bin/sh\ntail -n +4 $0\n%s\n" % end if status != b"0" else b"#!/bin/tail -n+2\n"
    with open(f"{_PLUGINS}/hostile", "wb") as file:
        file.write(script + case.part(0))
    os.chmod(f"{_PLUGINS}/hostile", 0o700)


TARGET = FuzzTarget("sriov", seeds, arrange)

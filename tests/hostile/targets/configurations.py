# SPDX-License-Identifier: Apache-2.0
"""Configurations on stdin, CNI_* variables, CNI_ARGS: what a runtime hands to `sriov`."""

import json

from tests.hostile.case import Case, environment
from tests.hostile.fuzz_target import FuzzTarget
from tests.networks import DUAL_STACK, L2, MYNET, MYNET_ARGS
from tests.plugin import Document

COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")
ATTRIBUTES: Document = {
    "vlan": 100,
    "vlanQoS": 3,
    "vlanProto": "802.1ad",
    "spoofchk": "on",
    "trust": "off",
    "link_state": "auto",
    "min_tx_rate": 10,
    "max_tx_rate": 100,
}
PREVIOUS: Document = {
    "interfaces": [{"name": "net1", "sandbox": "/run/netns/pod", "mtu": 1500}],
    "ips": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1", "interface": 0}],
    "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "table": 7, "priority": 9}],
    "dns": {"nameservers": ["10.0.0.53"], "domain": "example", "search": [], "options": []},
}
CONFIGURATIONS: dict[str, tuple[Document, str]] = {
    "mynet": (MYNET, MYNET_ARGS.replace(";VLAN=100", "")),
    "mynet with a VLAN": (MYNET, MYNET_ARGS),
    "layer 2": (L2, "VF=0"),
    "layer 2 by address": ({**L2, "deviceID": "0000:01:10.1"}, ""),
    "dual stack": (DUAL_STACK | {"mtu": 1400, "logLevel": "debug", "vlanQos": 0}, ""),
    "attributes": (L2 | ATTRIBUTES, "VF=1;MAC=66:d8:02:77:aa:aa"),
    "PF": (L2 | {"pfOnly": True}, ""),
    "device without PCI address": (L2 | {"pfOnly": True, "master": "lo"}, ""),
    "runtimeConfig": (
        L2
        | {"capabilities": {"mac": True, "ips": True, "deviceID": True}}
        | {"runtimeConfig": {"mac": "66:d8:02:77:aa:aa", "deviceID": "0000:01:10.0"}}
        | {"dns": PREVIOUS["dns"]},
        "K8S_POD_NAME=pod",
    ),
    "a pod's own": (
        L2
        | {"vlan": 100, "vf": 0, "requests": ["vlan", "vf", "deviceID", "mac", "ips"]}
        | {"args": {"cni": {"vlan": 100, "vf": 0, "mac": "66:d8:02:77:aa:aa"}}},
        "VLAN=100",
    ),
    "a pod's own, unlisted": (
        L2
        | {"requests": []}
        | {"args": {"cni": {"vlan": 9, "vf": 1, "deviceID": "0000:01:10.1", "ips": ["10.1.0.5"]}}},
        "",
    ),
    "chained": (L2 | {"prevResult": PREVIOUS, "cni.dev/valid-attachments": []}, ""),
    "keeping": (
        DUAL_STACK
        | {"cni.dev/valid-attachments": [{"containerID": "pod", "ifname": "net1"}]}
        | {"prevResult": PREVIOUS},
        "",
    ),
    "state elsewhere": (
        L2 | {"dataDir": "/var/lib/cni/elsewhere", "logFile": "/var/lib/cni/log", "Master": "x"},
        "K8S_POD_NAMESPACE=default",
    ),
    "log of JSON": (
        DUAL_STACK
        | {"logFile": "/var/lib/cni/log", "logFormat": "json", "logLevel": "debug", "Master": "x"},
        "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0",
    ),
}


def seeds() -> list[Case]:
    """Return every configuration with every command, after an ADD where that makes sense."""
    found = []
    for config, arguments in CONFIGURATIONS.values():
        for command in COMMANDS:
            variables = {"BEFORE": "ADD"} if command in ("DEL", "CHECK", "GC") else {}
            block = environment(command, CNI_ARGS=arguments, **variables)
            found.append(Case(block, json.dumps({**config}).encode()))
    return found


TARGET = FuzzTarget("sriov", seeds, reversible=True)

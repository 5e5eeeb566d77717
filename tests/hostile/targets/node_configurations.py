# SPDX-License-Identifier: Apache-2.0
"""Configurations of the device plugin: what lies in a ConfigMap, as `sriov-agent` reads it."""

import json

from sriov_node.device_plugin import configuration
from tests.assignments import broken_rules
from tests.documents import text
from tests.hostile.case import Case
from tests.hostile.fuzz_target import FuzzTarget
from tests.plugin import Document

_EVERYTHING: Document = {
    "resourceName": "net",
    "resourcePrefix": "example.com",
    "deviceType": "netDevice",
    "excludeTopology": True,
    "selectors": [
        {
            "vendors": ["8086", "0x15B3"],
            "devices": ["154c", "1018"],
            "drivers": ["iavf", "mlx5_ib"],
            "pciAddresses": ["0000:01:10.0", "05:00.1"],
            "acpiIndexes": ["101"],
            "pfNames": ["eth0#0-3,7", "ib0"],
            "rootDevices": ["0000:01:00.0#0,2-5", "05:00.0"],
            "linkTypes": ["ether", "infiniband"],
            "isRdma": False,
            "needVhostNet": True,
            "ddpProfiles": [],
            "pKeys": [],
            "vdpaType": "",
        },
        {},
    ],
    "additionalInfo": {"*": {"token": "a"}, "01:10.0": {"token": "b"}},
    "allocation": "packed",
    "health": ["carrier"],
    "via": "device-plugin",
}
_SUB_FUNCTIONS: Document = {
    "resourceName": "sf",
    "deviceType": "auxNetDevice",
    "IsRdma": True,
    "selectors": {"pfNames": ["p0#1-9"], "auxTypes": ["sf"]},
    "additionalInfo": {"mlx5_core.sf.9": {"token": "b"}},
}
_LISTS: tuple[list[Document], ...] = ([_EVERYTHING, _SUB_FUNCTIONS], [_SUB_FUNCTIONS, {}], [])


def seeds() -> list[Case]:
    """Return the example, and lists in which every key occurs."""
    documents = [json.dumps({"resourceList": resources}) for resources in _LISTS]
    documents.append(text("conf/config.json.example"))
    return [Case({}, document.encode()) for document in documents]


def rules(case: Case) -> list[str]:
    """Return the rules that a configuration breaks."""
    return list(broken_rules(configuration.parse(case.stdin, "intel.com")))


TARGET = FuzzTarget("", seeds, rules=rules)

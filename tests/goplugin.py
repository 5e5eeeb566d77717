# SPDX-License-Identifier: Apache-2.0
"""The Go plugin's cache file, as k8snetworkplumbingwg/sriov-cni 2.10 leaves it after an ADD.

Its JSON has every key below, whatever was configured: pkg/types/types.go there.
"""

from typing import Any

from tests.plugin import Document

DIRECTORY = "/var/lib/cni/sriov"


def cache(config: Document, pf: str, vf: int, state: Document) -> Document:
    """Return what it keeps of a configuration with deviceID; `state` is the VF's before."""
    unset: Document = {"min_tx_rate": None, "max_tx_rate": None}
    vlan: Document = {"vlan": None, "vlanQoS": None, "vlanProto": None}
    if "vlan" in config:
        vlan = {"vlanQoS": 0, "vlanProto": "802.1q"}
    known: dict[str, Any] = {
        key: config[key] for key in config if key not in ("ipam", "mac", "mtu")
    }
    return {
        **unset,
        **vlan,
        **known,
        "ipam": {"type": config["ipam"]["type"]} if "ipam" in config else {},
        "runtimeConfig": {},
        "MAC": config.get("mac", ""),
        "MTU": state["MTU"],
        "Master": pf,
        "VFID": vf,
        "OrigVfState": state,
    }


def vf_state(name: str, mac: str, **others: Any) -> Document:
    """Return a VF's state as it is kept, that of a new VF but for what is given."""
    usual: Document = {
        "HostIFName": name,
        "SpoofChk": True,
        "Trust": False,
        "AdminMAC": "00:00:00:00:00:00",
        "EffectiveMAC": mac,
        "Vlan": 0,
        "VlanQoS": 0,
        "VlanProto": 0x8100,
        "MinTxRate": 0,
        "MaxTxRate": 0,
        "LinkState": 0,
        "MTU": 1500,
    }
    return usual | others

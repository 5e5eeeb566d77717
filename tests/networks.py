# SPDX-License-Identifier: Apache-2.0
"""Networks that more than one test attaches pods to."""

import json

from tests.plugin import Document

# The network of the project's contract, word for word: no cniVersion, so specification 0.1.0.
MYNET: Document = json.loads("""
{ "name": "mynet", "type": "sriov", "master": "eth1",
  "ipam": { "type": "fixipam", "subnet": "10.55.206.0/26",
            "routes": [ { "dst": "0.0.0.0/0" } ], "gateway": "10.55.206.1" } }
""")
MYNET_ARGS = "IgnoreUnknown=1;IP=10.55.206.46;VF=1;MAC=66:d8:02:77:aa:aa;VLAN=100"

L2: Document = {"cniVersion": "1.1.0", "name": "layer2", "type": "sriov", "master": "eth1"}
DUAL_STACK: Document = L2 | {
    "ipam": {
        "type": "fixipam",
        "ranges": [
            {"subnet": "10.1.0.0/24", "gateway": "10.1.0.1"},
            {"subnet": "fd00:1::/64", "gateway": "fd00:1::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.9"}],
    },
    "args": {"cni": {"ips": ["10.1.0.5", "fd00:1::5"]}},
}
# Everything that an ADD can do without a driver; a MAC comes with CNI_ARGS.
FULL: Document = DUAL_STACK | {"mtu": 1400}
# The IPAM plugin is one that the test writes: plugin.write_plugin.
WRITTEN: Document = L2 | {"ipam": {"type": "written"}}
# Which device is in the other keys.
DEVICE: Document = {"cniVersion": "1.1.0", "name": "devices", "type": "sriov"}


def dual_stack_on(pf: str) -> Document:
    """Return a dual-stack network on a PF."""
    ipam = {"type": "fixipam", "ranges": [{"subnet": "10.7.0.0/24"}, {"subnet": "fd00:7::/64"}]}
    return {"cniVersion": "1.1.0", "name": pf, "type": "sriov", "master": pf, "ipam": ipam}


def keeping(config: Document, *containers: str) -> Document:
    """Return the configuration as a runtime hands it to GC."""
    valid = [{"containerID": container, "ifname": "net1"} for container in containers]
    return config | {"cni.dev/valid-attachments": valid}

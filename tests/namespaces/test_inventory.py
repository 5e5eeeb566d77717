# SPDX-License-Identifier: Apache-2.0
"""The floor that other programs share: PFs and VFs of a node, without the protocol of CNI."""

import json
import sys

from tests.node import Node

# As a device plugin would begin: none of these may be needed, so importing one fails.
LISTING = """
import json, sys
for name in ("cni", "attachment", "commands", "pod", "store"):
    sys.modules["sriov_cni." + name] = None
from sriov_cni.device import handover, host_use, inventory, mac, pci, restoration, snapshot, vf
from sriov_cni.kernel.netlink import Socket
links = [handover.find_on_host(Socket(), vf.function.address) for vf in inventory.pfs()[0].vfs]
print(json.dumps({"pfs": inventory.pfs(), "links": [link and link.name for link in links]}))
"""


def test_a_program_without_cni_lists_a_nodes_pfs_and_vfs(node: Node) -> None:
    devices = "/sys/bus/pci/devices"
    node.link(f"{devices}/0000:01:00.0/driver", "/drivers/vethpf")
    node.write(f"{devices}/0000:01:00.0/numa_node", "1\n")
    node.write(f"{devices}/0000:01:10.0/numa_node", "-1\n")
    node.link(f"{devices}/0000:01:10.1/iommu_group", "/kernel/iommu_groups/17")
    node.link(f"{devices}/0000:01:10.2/driver", "/drivers/vfio-pci")
    node.run("rm", "-r", f"{devices}/0000:01:10.2/net")
    node.add_pf("eth9", vfs=0, total=63, bus=9)
    listed = json.loads(node.run(sys.executable, "-P", "-c", LISTING))
    pf, bare = listed["pfs"]
    address, netdevs, driver, numa_node, most_vfs, vfs = pf
    assert (address, netdevs, driver, numa_node) == ("0000:01:00.0", ["eth1"], "vethpf", 1)
    assert most_vfs == 8
    assert vfs[:3] == [
        [["eth1", 0, "0000:01:10.0"], ["eth1", 0], ["eth1v0"], "vethvf", None, None],
        [["eth1", 1, "0000:01:10.1"], ["eth1", 1], ["eth1v1"], "vethvf", None, 17],
        [["eth1", 2, "0000:01:10.2"], ["eth1", 2], [], "vfio-pci", None, None],
    ]
    assert listed["links"][:3] == ["eth1v0", "eth1v1", None]
    assert bare == ["0000:09:00.0", ["eth9"], None, None, 63, []]

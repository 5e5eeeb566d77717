# SPDX-License-Identifier: Apache-2.0
"""The floor that other programs share: a node's network functions, without the protocol of CNI."""

import json
import sys
from pathlib import Path

from tests.plugin import run
from tests.sysfs import Tree, seeing

# As a device plugin would begin: none of these may be needed, so importing one fails.
LISTING = """
import json, sys
for name in ("cni", "attachment", "commands", "pod", "store"):
    sys.modules["sriov_cni." + name] = None
from sriov_cni.device import handover, host_use, inventory, mac, pci, restoration, snapshot, vf
from sriov_cni.kernel.netlink import Socket
functions, others = inventory.Functions().look()
links = [handover.find_on_host(Socket(), id) for id in functions if ":" in id]
print(json.dumps({"functions": functions, "others": others, "links": links}))
"""


def test_a_program_without_cni_lists_a_nodes_functions(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.pf("0000:3b:00.0", "ens1f0", vfs=2, numa=1)
    tree.bind("0000:3b:02.1", "vfio-pci")
    tree.sub_function("mlx5_core.sf.4", "0000:3b:00.0", 88, "ens1f0s88")
    tree.virtual("veth7")
    listed = json.loads(run(*seeing(tree, sys.executable, "-P", "-c", LISTING)))
    pf, kernel, userspace, part = listed["functions"].values()
    address = "0000:3b:00.0"
    assert pf == [
        [address, address, "8086", "1592", 0x020000, None, None, 1, None, None, True],
        *("ice", 1, ["ens1f0"], 1, [], 2),
    ]
    vf = "0000:3b:02.0"
    assert kernel == [
        [vf, vf, "8086", "1889", 0x020000, address, 0, 1, None, None, False],
        *("iavf", 2, ["ens1f0v0"], 1, [], 0),
    ]
    assert userspace[1:] == ["vfio-pci", 3, [], None, [], 0]
    assert part == [
        ["mlx5_core.sf.4", address, "8086", "1592", 0x020000, address, 88, 1, None, "sf", False],
        *("mlx5_core.sf", None, ["ens1f0s88"], 1, [], 0),
    ]
    assert listed["others"] == ["veth7"]
    assert listed["links"] == [None, None, None]  # of the tree only, rtnetlink has none of them

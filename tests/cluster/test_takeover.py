# SPDX-License-Identifier: Apache-2.0
"""A cluster that had the Go plugin: kubelet ends pods of its time with this plugin.

The Go plugin itself is not at hand. A pod's VF is as it would have left it; in place of this
plugin's record lies its own.
"""

import json
import os
from pathlib import Path

import pytest

from sriov_cni.attachment.record import FileName
from tests import card, goplugin
from tests.cluster import objects
from tests.cluster.node import Node
from tests.cluster.pods import Pods
from tests.plugin import run_json

VF = 6


@pytest.mark.usefixtures("unchanged")
def test_a_pod_of_the_go_plugins_time_gives_its_vf_back(node: Node, pods: Pods) -> None:
    address = card.vf_address("eth0", VF)
    (link,) = run_json("ip", "-j", "link", "show", "dev", *card.netdevs("eth0", VF))
    mac = card.administrative_mac("eth0", VF)
    state = goplugin.vf_state(link["ifname"], link["address"], AdminMAC=mac)
    old = objects.network("old", deviceID=address, vlan=100)
    node.api.apply(old)
    pods.run(objects.pod("old", "old"))
    kept = Path(goplugin.DIRECTORY)
    (name,) = filter(None, map(FileName.parse, os.listdir(kept)))
    (kept / str(name)).unlink()
    cached = goplugin.cache(json.loads(old["spec"]["config"]), "eth0", VF, state)
    (kept / f"{name.owner.container_id}-net1").write_text(json.dumps(cached))
    (kept / "pci").mkdir(exist_ok=True)
    (kept / "pci" / address).write_text(f"/proc/{pods.sandbox('old')}/ns/net")
    pods.delete("old")

# SPDX-License-Identifier: Apache-2.0
"""What a pod that may administer its network (CAP_NET_ADMIN) does to its interface, net1."""

import sys
from pathlib import Path

XDP = (sys.executable, str(Path(__file__).with_name("xdp.py")))
IN_POD = ("ip", "netns", "exec")
# What goes with the device when it leaves the pod.
LASTING = """
    ip link set net1 arp off promisc on allmulticast on multicast off
    ip link set net1 txqueuelen 7 alias "red's" group 5 mode dormant
    ip link set net1 gso_max_size 20000 gso_max_segs 20 gro_max_size 20000
    ip link set net1 broadcast ff:ff:ff:ff:ff:00
"""

# SPDX-License-Identifier: Apache-2.0
"""The second boot: the same node with the same disks, and nothing of the kernel's state.

VFs are new, their names may be others, no pod's namespace is there, and the records of the boot
before tell of attachments that no longer exist.
"""

import pytest

from tests import card
from tests.cluster import installation
from tests.cluster.node import Node, prepare, until
from tests.cluster.pods import Pods
from tests.cluster.reboot import disks


@pytest.fixture(scope="module")
def node() -> Node:
    """The node of the boot before."""
    prepare()
    disks.restore()
    return installation.start()


def test_pods_run_again_on_their_networks(node: Node, pods: Pods) -> None:
    first, second = disks.PODS
    pods.await_running(first, second)
    for interface in ("net1", "net2"):
        (address,) = pods.networks(second)[interface]["ips"]
        assert pods.reaches(first, address)


def test_no_vf_is_lost(node: Node, pods: Pods) -> None:
    for pf in card.PFS:
        assert len(card.vf_names(pf)) == card.VFS - len(disks.PODS)
    pods.delete(*disks.PODS)
    until(_all_is_given_back, 120, f"all VFs at home, no records, no leases: {card.state()}")


def _all_is_given_back() -> bool:
    at_home = all(len(card.vf_names(pf)) == card.VFS for pf in card.PFS)
    return at_home and not any(map(card.files, card.STATE_DIRECTORIES))

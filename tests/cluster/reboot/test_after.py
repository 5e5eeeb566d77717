# SPDX-License-Identifier: Apache-2.0
"""The second boot: the same node with the same disks, and nothing of the kernel's state.

VFs are new, their names may be others, no pod's namespace is there, and the records of the boot
before tell of attachments that no longer exist.
"""

import pytest

from tests import card
from tests.cluster import installation
from tests.cluster.node import Node, prepare, until_equal
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
    until_equal(_away, [], 120)


def _away() -> list[str]:
    """Return the PFs whose VFs are not all at home, and what records and leases there are."""
    pfs = [pf for pf in card.PFS if len(card.vf_names(pf)) < card.VFS]
    return pfs + [name for directory in card.STATE_DIRECTORIES for name in card.files(directory)]

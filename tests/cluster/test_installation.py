# SPDX-License-Identifier: Apache-2.0
"""The manifests of deploy/, and what the DaemonSet does to the node when its pods come and go."""

import os

import pytest

from tests.cluster import installation, objects
from tests.cluster.node import PLUGINS, Node, until
from tests.cluster.pods import Pods
from tests.plugin import run

DEPLOY = installation.PROJECT / "deploy"


def daemons(node: Node) -> list[str]:
    """Return the names of the DaemonSet's pods."""
    pods = node.api.list("Pod", "kube-system", labels="app.kubernetes.io/name=sriov-cni")
    return [pod["metadata"]["name"] for pod in pods]


def installed() -> list[str]:
    """Return what is in the node's directory of plugins, of this project."""
    return sorted(name for name in os.listdir(PLUGINS) if "sriov" in name or name == "fixipam")


def test_the_api_server_takes_all_manifests(node: Node) -> None:
    for directory in ("", "uninstall"):
        run("kubectl", "apply", "--dry-run=server", "-k", str(DEPLOY / directory))
    for network in sorted((DEPLOY / "networks").glob("*.yaml")):
        run("kubectl", "apply", "--dry-run=server", "-f", str(network))


@pytest.mark.usefixtures("unchanged")
def test_a_pod_keeps_its_vf_when_the_daemonset_is_deleted_and_made_anew(
    node: Node, pods: Pods
) -> None:
    before = installed()
    pods.run(objects.pod("staying", "red"))
    (old,) = daemons(node)
    node.api.delete("Pod", old, "kube-system")
    until(lambda: daemons(node) not in ([], [old]), 120, "another pod of the DaemonSet")
    until(lambda: installation.is_installed(node), 120, "a DaemonSet that is ready")
    assert installed() == before
    pods.delete("staying")


def test_uninstalled_and_installed_again(node: Node) -> None:
    others = sorted(set(os.listdir(PLUGINS)) - set(installed()))
    run("kubectl", "apply", "-k", str(DEPLOY / "uninstall"))
    until(lambda: not installed(), 180, "no plugin of this project")
    assert sorted(os.listdir(PLUGINS)) == others
    run("kubectl", "apply", "-k", str(DEPLOY))
    until(lambda: "sriov" in installed() and installation.is_installed(node), 180, "the plugin")


@pytest.mark.usefixtures("unchanged")
def test_executables_that_somebody_removed_come_again(node: Node, pods: Pods) -> None:
    (PLUGINS / "sriov").unlink()
    run("kubectl", "-n", "kube-system", "delete", "pod", *daemons(node))
    until(lambda: (PLUGINS / "sriov").exists(), 180, "the executable")
    pods.run(objects.pod("next", "red"))
    pods.delete("next")

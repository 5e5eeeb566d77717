# SPDX-License-Identifier: Apache-2.0
"""The manifests in deploy/: the chart makes of its values what kustomize makes of the files."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documents import ROOT
from tests.plugin import run
from tools.image import MOUNT_POINTS, NAME

CACHE = Path(os.environ.get("SRIOV_CNI_CACHE") or Path.home() / ".cache" / "sriov-cni")
HELM, KUSTOMIZE = str(CACHE / "bin" / "helm"), str(CACHE / "bin" / "kustomize")
DEPLOY = ROOT / "deploy"
CHART = str(DEPLOY / "chart")
NETWORKS = [yaml.safe_load(path.read_text()) for path in sorted((DEPLOY / "networks").iterdir())]

Object = dict[str, Any]


def objects(text: str) -> dict[tuple[str, str], Object]:
    """Return the objects in a text, by kind and name."""
    documents = [document for document in yaml.safe_load_all(text) if document]
    found = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    assert len(found) == len(documents)
    return found


def templated(*options: str) -> dict[tuple[str, str], Object]:
    """Return the objects that the chart makes."""
    return objects(run(HELM, "template", "any", CHART, "--namespace", "kube-system", *options))


def kustomized(directory: Path) -> dict[tuple[str, str], Object]:
    """Return the objects that a kustomization makes."""
    return objects(run(KUSTOMIZE, "build", str(directory)))


def daemonset(of: dict[tuple[str, str], Object], name: str = "sriov-cni") -> Object:
    """Return the specification of the pods of a DaemonSet."""
    spec: Object = of["DaemonSet", name]["spec"]["template"]["spec"]
    return spec


def test_helm_finds_no_fault_with_the_chart() -> None:
    run(HELM, "lint", "--strict", "--quiet", CHART)


def test_the_chart_installs_as_the_kustomization_does() -> None:
    assert templated() == kustomized(DEPLOY / "node")


def test_the_chart_uninstalls_as_the_kustomization_does() -> None:
    assert templated("--set", "action=uninstall") == kustomized(DEPLOY / "uninstall")


def test_the_chart_has_the_agent_as_the_kustomization_has_it() -> None:
    made, expected = templated("--set", "agent.enabled=true"), kustomized(DEPLOY)
    for objects_ in (made, expected):
        data = objects_["ConfigMap", "sriov-agent"]["data"]
        data["config.json"] = json.loads(data["config.json"])
    assert made == expected


def test_an_agent_is_replaced_when_the_next_one_itself_is_ready() -> None:
    made = kustomized(DEPLOY / "agent")
    update = made["DaemonSet", "sriov-agent"]["spec"]["updateStrategy"]["rollingUpdate"]
    assert update == {"maxSurge": 1, "maxUnavailable": 0}
    spec = daemonset(made, "sriov-agent")
    (container,) = spec["containers"]
    assert spec["hostNetwork"]
    assert spec["hostPID"]  # the preparation asks all processes
    assert "ports" not in container  # of the node: two agents at once would not be scheduled
    asked = container["livenessProbe"]["httpGet"]
    assert (asked["host"], asked["port"]) == ("127.0.0.1", 9808)
    # not over the node's network, where the one before may answer
    *_, file = container["readinessProbe"]["exec"]["command"]
    assert container["args"][container["args"].index("--ready-file") + 1] == file


def test_the_agents_configuration_may_change_while_it_runs() -> None:
    spec = daemonset(kustomized(DEPLOY / "agent"), "sriov-agent")
    (container,) = spec["containers"]
    (mount,) = (m for m in container["volumeMounts"] if m["name"] == "config")
    assert (mount["mountPath"], "subPath" in mount) == ("/etc/pcidp", False)
    assert "/etc/pcidp/config.json" in container["args"]


def test_every_volume_of_the_agent_is_mounted_where_the_image_has_a_place() -> None:
    spec = daemonset(kustomized(DEPLOY / "agent"), "sriov-agent")
    (container,) = spec["containers"]
    assert container["image"] == NAME
    mounts = container["volumeMounts"]
    assert {mount["mountPath"].lstrip("/") for mount in mounts} <= set(MOUNT_POINTS)
    assert {mount["name"] for mount in mounts} == {volume["name"] for volume in spec["volumes"]}
    (preparing,) = spec["initContainers"]
    assert (preparing["image"], preparing["volumeMounts"]) == (NAME, mounts)


def test_the_chart_makes_networks(tmp_path: Path) -> None:
    values = [
        {
            "name": network["metadata"]["name"],
            "resourceName": network["metadata"]["annotations"]["k8s.v1.cni.cncf.io/resourceName"],
            "config": json.loads(network["spec"]["config"]),
        }
        for network in NETWORKS
    ]
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({"networks": values}))
    made = templated("--values", str(tmp_path / "values.yaml"))
    for network in NETWORKS:
        one = made["NetworkAttachmentDefinition", network["metadata"]["name"]]
        config = json.loads(one["spec"].pop("config"))
        assert config == json.loads(network["spec"].pop("config"))
        assert one == network


def test_the_chart_does_as_its_values_say() -> None:
    sets = {"image.tag": "2", "binDir": "/var/lib/cni/bin", "nodeSelector.cards": "sriov"}
    made = templated(*(word for item in sets.items() for word in ("--set", "=".join(item))))
    spec = daemonset(made)
    assert spec["containers"][0]["image"] == "localhost/sriov-cni:2"
    assert spec["volumes"][0]["hostPath"]["path"] == "/var/lib/cni/bin"
    assert spec["nodeSelector"]["cards"] == "sriov"


@pytest.mark.parametrize("values", ["action=remove", "networks[0].name=a"])
def test_the_chart_refuses_what_it_cannot_do(values: str) -> None:
    command = [HELM, "template", "any", CHART, "--set", values]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 1
    assert "must be install or uninstall" in said.stderr or "needs a config" in said.stderr


def test_the_image_is_the_one_that_is_made_and_has_what_is_mounted() -> None:
    for directory in (DEPLOY / "node", DEPLOY / "uninstall"):
        (container,) = daemonset(kustomized(directory))["containers"]
        assert container["image"] == NAME
        mounted = {mount["mountPath"].lstrip("/") for mount in container["volumeMounts"]}
        assert mounted <= set(MOUNT_POINTS)

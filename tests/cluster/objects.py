# SPDX-License-Identifier: Apache-2.0
"""Objects of the cluster as tests want them: networks, pods, Deployments."""

import json
from collections.abc import Mapping
from typing import Any

from tests.cluster.api import Object

IMAGE = "localhost/lab:1"
LOG = "/var/log/sriov-cni.log"
GROUP = "k8s.v1.cni.cncf.io"

NETWORK_DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "network-attachment-definitions.k8s.cni.cncf.io"},
    "spec": {
        "group": "k8s.cni.cncf.io",
        "scope": "Namespaced",
        "names": {
            "plural": "network-attachment-definitions",
            "singular": "network-attachment-definition",
            "kind": "NetworkAttachmentDefinition",
            "shortNames": ["net-attach-def"],
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"config": {"type": "string"}}}
                        },
                    }
                },
            }
        ],
    },
}


REQUESTS = {"ips": True, "mac": True}


def network(name: str, resource: str = "", **config: Any) -> Object:
    """Return a NetworkAttachmentDefinition of `sriov`, with its configuration's other keys.

    Multus hands over the device that kubelet has chosen from `resource`.
    """
    logged = {"logFile": LOG, "logLevel": "debug"}
    whole = {"cniVersion": "1.1.0", "name": name, "type": "sriov", **logged, **config}
    chosen = {"annotations": {"k8s.v1.cni.cncf.io/resourceName": resource}} if resource else {}
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name, "namespace": "default", **chosen},
        "spec": {"config": json.dumps(whole)},
    }


def addresses(prefix: str) -> Object:
    """Return the ipam of a network of three numbers; its .1 to .9 are for requests."""
    return {
        "type": "fixipam",
        "subnet": f"{prefix}.0/24",
        "rangeStart": f"{prefix}.10",
        "rangeEnd": f"{prefix}.99",
    }


RED = network("red", master="eth0", vlan=100, capabilities=REQUESTS, ipam=addresses("10.1.0"))
BLUE = network("blue", master="eth1", vlan=200, capabilities=REQUESTS, ipam=addresses("10.2.0"))
# On red's card and with red's addresses, in another VLAN.
GREEN = network("green", master="eth0", vlan=300, capabilities=REQUESTS, ipam=addresses("10.1.0"))


def pod_template(*networks: str | Object, resources: Mapping[str, int] | None = None) -> Object:
    """Return metadata and spec of a pod that sleeps; `networks` by name or as Multus' requests.

    `resources` are how many devices it wants of which.
    """
    requests = [{"name": each} if isinstance(each, str) else each for each in networks]
    metadata = {"annotations": {f"{GROUP}/networks": json.dumps(requests)}} if networks else {}
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        # as process 1, sleep would ignore SIGTERM
        "command": ["/bin/sh", "-c", "trap exit TERM; sleep 1000000 & wait"],
        "resources": {"limits": {name: str(count) for name, count in (resources or {}).items()}},
    }
    spec = {
        "containers": [container],
        "terminationGracePeriodSeconds": 5,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
    }
    return {"metadata": metadata, "spec": spec}


def pod(name: str, *networks: str | Object, resources: Mapping[str, int] | None = None) -> Object:
    """Return a pod."""
    template = pod_template(*networks, resources=resources)
    metadata = {"name": name, "namespace": "default", **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def deployment(
    name: str, replicas: int, *networks: str | Object, resources: Mapping[str, int] | None = None
) -> Object:
    """Return a Deployment, whose pods are labelled with its name."""
    template = pod_template(*networks, resources=resources)
    template["metadata"]["labels"] = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
        },
    }

# SPDX-License-Identifier: Apache-2.0
"""One SriovNetworkNodePolicy (sriovnetwork.openshift.io/v1), read and checked.

The keys are those of SriovNetworkNodePolicySpec in api/v1 of k8snetworkplumbingwg's
sriov-network-operator.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from sriov_cni.cni.document import JsonObject, shown
from sriov_node import names
from sriov_node.device_plugin import members
from sriov_node.device_plugin.resource import Members
from sriov_node.fields import Fields, Findings, fields

_GROUP, _KIND = "sriovnetwork.openshift.io", "SriovNetworkNodePolicy"
VFIO = "vfio-pci"
_DEFAULT = "default"  # the operator's own policy, which is for no card
_PRIORITIES = range(100)
_COUNTS = range(1 << 16)
_ANY_MTU = range(1 << 31)
_UNSERVED = {
    "vdpaType": "vDPA devices are not made",
    "bridge": "no bridge is made",
    "eSwitchParams": "no such parameter is set",
}
_KEYS = (
    *("resourceName", "nodeSelector", "priority", "numVfs", "mtu", "deviceType", "eSwitchMode"),
    *("isRdma", "needVhostNet", "excludeTopology", "externallyManaged", "linkType", "nicSelector"),
    *_UNSERVED,
)
_NIC_KEYS = ("vendor", "deviceID", "rootDevices", "pfNames", "netFilter")


class Policy(NamedTuple):
    """A policy: `name` is its own, the other values are those of its spec.

    `mtu` 0, and an empty text, leave something as it is. A lower `priority` outranks a higher one.
    """

    name: str
    resource: str
    node_selector: Mapping[str, str]
    priority: int
    vfs: int
    mtu: int
    vfio: bool
    eswitch: str
    rdma: bool
    vhost_net: bool
    exclude_topology: bool
    externally_managed: bool
    link_type: str
    vendor: str
    device: str
    root_devices: tuple[str, ...]
    pf_names: tuple[Members, ...]

    @property
    def selects_nothing(self) -> bool:
        """Whether its nicSelector is empty."""
        return not (self.vendor or self.device or self.root_devices or self.pf_names)


def is_policy(values: JsonObject) -> bool:
    """Tell whether an object is a policy."""
    group = str(values.get("apiVersion", "")).partition("/")[0]
    return values.get("kind") == _KIND and group == _GROUP


def is_for_no_card(values: JsonObject) -> bool:
    """Tell whether a policy is the operator's own, which has no content."""
    return _name(values) == _DEFAULT


def read(values: JsonObject, findings: Findings) -> Policy:
    """Return a policy, which means nothing if there are faults."""
    name = _name(values)
    findings.resource = f"policy {name}"
    spec = _object(fields(values, (*values, "spec"), "", findings), "spec", _KEYS)
    nic = _object(spec, "nicSelector", _NIC_KEYS, "spec.")
    for key, consequence in _UNSERVED.items():
        if spec.values.get(key):
            findings.warn(f"spec.{key} has no counterpart: {consequence}")
    if nic.values.get("netFilter"):
        findings.warn("spec.nicSelector.netFilter has no counterpart: no network is looked up")
    link_type = (spec.text("linkType", _link_type) or "").lower()
    if link_type == "ib":
        findings.warn("spec.linkType ib: GUIDs of VFs are left as they are")
    return Policy(
        name=name,
        resource=spec.text("resourceName", names.resource_name) or "",
        node_selector=_labels(spec),
        priority=spec.integer("priority", _PRIORITIES) or 0,
        vfs=spec.integer("numVfs", _COUNTS) or 0,
        mtu=spec.integer("mtu", _ANY_MTU) or 0,
        vfio=spec.text("deviceType", names.one_of("netdevice", VFIO), "netdevice") == VFIO,
        eswitch=spec.text("eSwitchMode", names.optional(names.one_of("legacy", "switchdev"))) or "",
        rdma=spec.boolean("isRdma"),
        vhost_net=spec.boolean("needVhostNet"),
        exclude_topology=spec.boolean("excludeTopology"),
        externally_managed=spec.boolean("externallyManaged"),
        link_type=link_type,
        vendor=nic.text("vendor", names.optional(names.hexadecimal)) or "",
        device=nic.text("deviceID", names.optional(names.hexadecimal)) or "",
        root_devices=nic.texts("rootDevices", names.pci_address),
        pf_names=nic.texts("pfNames", partial(members.parse, read=names.plain)),
    )


def _name(values: JsonObject) -> str:
    metadata = values.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    plain = isinstance(name, str) and name.isprintable() and 0 < len(name) <= 253
    return str(name) if plain else f"with the name {shown(name)}"


def _object(outer: Fields, key: str, keys: tuple[str, ...], where: str = "") -> Fields:
    value = outer.values.get(key)
    if not isinstance(value, dict):
        outer.wrong(key, "an object")
        value = {}
    return fields(value, keys, f"{where}{key}.", outer.findings)


def _labels(spec: Fields) -> Mapping[str, str]:
    value = spec.values.get("nodeSelector")
    labels = {} if value is None else value
    if isinstance(labels, dict) and all(isinstance(text, str) for text in labels.values()):
        return labels
    spec.wrong("nodeSelector", "an object of strings")
    return {}


def _link_type(text: str) -> str:
    return names.optional(names.one_of("eth", "ETH", "ib", "IB"))(text)

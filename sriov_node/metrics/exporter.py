# SPDX-License-Identifier: Apache-2.0
"""The same counters under the names that the SR-IOV network metrics exporter gives them.

For dashboards that were made for it. Names and labels are its; the samples have no type, because
to prometheus_client a counter's name ends in _total.
"""

from collections.abc import Iterator

from prometheus_client.core import Metric, UnknownMetricFamily

from sriov_node.inventory.device import Device
from sriov_node.metrics.counters import Counts
from sriov_node.metrics.families import name_of_pf, shown, values
from sriov_node.metrics.view import View, virtual_functions

_VF = ("pf", "vf", "pciAddr", "numa_node")
_POD = ("pciAddr", "dev_type", "pod", "namespace", "container")
# the exporter's names, by the fields of VfCounters
_COUNTERS = {
    "rx_bytes": "sriov_vf_rx_bytes",
    "tx_bytes": "sriov_vf_tx_bytes",
    "rx_packets": "sriov_vf_rx_packets",
    "tx_packets": "sriov_vf_tx_packets",
    "rx_dropped": "sriov_vf_rx_dropped",
    "tx_dropped": "sriov_vf_tx_dropped",
    "broadcast": "sriov_vf_rx_broadcast",
    "multicast": "sriov_vf_rx_multicast",
}


def families(view: View, counts: Counts) -> Iterator[Metric]:
    """Yield all families."""
    for field, name in _COUNTERS.items():
        family = UnknownMetricFamily(name, f"Statistic {field} of a VF.", labels=_VF)
        for device in virtual_functions(view):
            seen = shown(device, counts) if device.pf in counts.counting else None
            number = getattr(seen.counters, field) if seen is not None else None
            if number is not None:
                family.add_metric(_vf_labels(view, device), number)
        yield family
    pods = UnknownMetricFamily("sriov_kubepoddevice", "A pod that has a device.", labels=_POD)
    for device_id, holder in view.holders.items():
        if device_id in view.snapshot.devices:
            names = (holder.resource, holder.pod, holder.namespace, holder.container)
            pods.add_metric(values(device_id, *names), 1)
    yield pods


def _vf_labels(view: View, device: Device) -> list[str]:
    node = "" if device.numa_node is None or device.numa_node < 0 else device.numa_node
    return values(name_of_pf(view, device), device.number, device.address, node)

# SPDX-License-Identifier: Apache-2.0
"""The agent's own metrics, computed from a view and from what was counted; docs/metrics.md.

Every family is there always, though it may have no sample. What is not known has none: 0 would be
a number.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sriov_cni.kernel import vfs
from sriov_cni.kernel.statistics import Vf
from sriov_node.device_plugin.pool import Offer, Pool
from sriov_node.inventory.device import Device, State
from sriov_node.kubelet.holder import Holder
from sriov_node.metrics.counters import Counts
from sriov_node.metrics.view import (
    View,
    in_state,
    physical_functions,
    resources,
    virtual_functions,
)

_MISSING = "missing"  # the state of a device that is announced though it is gone or has no driver
_STATES = (*(state.value for state in State), _MISSING)
_NOBODY = Holder("", "", "", "")
_VF = ("device", "pf", "vf")
_POD = (*_VF, "resource", "namespace", "pod", "interface", "network")
_INFO = ("numa_node", "driver", "mac", "vlan", "state", "resource", "namespace", "pod", "container")
_POD_COUNTERS = {
    "bytes": "Bytes that a pod's interface has {}.",
    "packets": "Packets that a pod's interface has {}.",
    "dropped": "Packets that were to be {} by a pod's interface, and were dropped.",
    "errors": "Packets that a pod's interface has not {} because of an error.",
}
_VF_COUNTERS = {
    "bytes": "Bytes that a VF has {}, as its PF counts them.",
    "packets": "Packets that a VF has {}, as its PF counts them.",
    "dropped": "Packets that were to be {} by a VF, and were dropped, as its PF counts them.",
}
_VERBS = {"rx": "received", "tx": "sent"}


def families(view: View, counts: Counts) -> Iterator[Metric]:
    """Yield all families."""
    yield from _of_resources(view)
    yield from _of_the_agent(view, counts)
    yield from _of_pfs(view, counts)
    yield _vf_info(view, counts)
    yield from _of_vfs(view, counts)
    yield from _of_pods(view, counts)


def name_of_pf(view: View, device: Device) -> str:
    """Return the name of a device's PF, or its PCI address where it has none; empty without PF."""
    return device.pf_names[0] if device.pf_names else device.pf or ""


def shown(device: Device, counts: Counts) -> Vf | None:
    """Return what the PF shows of a VF, None if it shows nothing."""
    pf = counts.pfs.get(device.pf or "")
    if pf is None or device.aux_type is not None or device.number is None:
        return None
    return pf.vfs.get(device.number)


def values(*texts: object) -> list[str]:
    """Return values of labels. Names that are no text, as the kernel allows, become some."""
    return [str(text).encode(errors="backslashreplace").decode() for text in texts]


def _of_resources(view: View) -> Iterator[Metric]:
    devices = _gauge("sriov_devices", "Devices of a resource by state.", "resource", "state")
    unhealthy = _gauge(
        "sriov_unhealthy_devices", "Devices that kubelet gives to no pod.", "resource"
    )
    registered = _gauge(
        "sriov_kubelet_registered", "Whether kubelet follows a resource's list.", "resource"
    )
    for pool in view.pools:
        name = pool.resource.name
        states = Counter(map(_state, pool.offers.values()))
        for state in _STATES:
            devices.add_metric(values(name, state), states[state])
        unhealthy.add_metric(values(name), _unhealthy(pool))
        registered.add_metric(values(name), bool(view.registered.get(name)))
    yield from (devices, unhealthy, registered)
    yield _counter(
        "sriov_registrations", "Registrations with kubelet that succeeded.", view.registrations
    )
    yield _counter(
        "sriov_registration_failures", "Registrations with kubelet that failed.", view.failures
    )


def _of_the_agent(view: View, counts: Counts) -> Iterator[Metric]:
    problems = _gauge("sriov_problems", "Things to look after, by kind.", "check")
    lost = len(in_state(view, State.LOST))
    found = {
        "configuration": len(view.faults),
        "lost": lost,
        "pf_down": sum(
            1 for pf in _used_pfs(view) if pf.id in counts.pfs and not counts.pfs[pf.id].carrier
        ),
        "unhealthy": sum(map(_unhealthy, view.pools)),
        "unregistered": sum(not view.registered.get(pool.resource.name) for pool in view.pools),
    }
    for check, number in found.items():
        problems.add_metric([check], number)
    yield problems
    attached = [d for d in in_state(view, State.ATTACHED) if d.use.container]
    for name, text, value in (
        ("sriov_rescan_seconds", "What the last look at all devices took.", view.scan_seconds),
        ("sriov_attachments", "Devices in pods, by the plugin's records.", len(attached)),
        ("sriov_lost_vfs", "Devices that came back from a pod without a DEL.", lost),
    ):
        yield GaugeMetricFamily(name, text, value)
    desired = _gauge("sriov_node_in_desired_state", "Whether the node is as its files want it.")
    if view.in_desired_state is not None:
        desired.add_metric([], view.in_desired_state)
    yield desired


def _of_pfs(view: View, counts: Counts) -> Iterator[Metric]:
    up = _gauge("sriov_pf_up", "Whether a PF has carrier.", "device", "pf")
    number = _gauge("sriov_pf_vfs", "VFs that a PF has, and can have.", "device", "pf", "kind")
    for pf in physical_functions(view):
        name = pf.pf_names[0] if pf.pf_names else pf.id
        if pf.id in counts.pfs:
            up.add_metric(values(pf.id, name), counts.pfs[pf.id].carrier)
        number.add_metric(values(pf.id, name, "configured"), pf.enabled_vfs)
        if pf.id in counts.most_vfs:
            number.add_metric(values(pf.id, name, "total"), counts.most_vfs[pf.id])
    yield from (up, number)


def _vf_info(view: View, counts: Counts) -> Metric:
    info = _gauge("sriov_vf_info", "What a VF is, and who has it; always 1.", *_VF, *_INFO)
    offered = resources(view)
    for device in virtual_functions(view):
        seen, holder = shown(device, counts), view.holders.get(device.id, _NOBODY)
        labels = values(
            *_vf_labels(view, device),
            _known(device.numa_node),
            _known(device.driver),
            seen.mac if seen is not None and seen.mac != vfs.NO_MAC else "",
            seen.vlan if seen is not None else "",
            device.use.state.value,
            offered.get(device.id, ""),
            holder.namespace,
            holder.pod,
            holder.container,
        )
        info.add_metric(labels, 1)
    return info


def _of_vfs(view: View, counts: Counts) -> Iterator[Metric]:
    counted = [
        (device, seen.counters)
        for device in virtual_functions(view)
        if device.pf in counts.counting and (seen := shown(device, counts)) is not None
    ]
    for kind, text in _VF_COUNTERS.items():
        for direction, verb in _VERBS.items():
            yield _numbers(
                f"sriov_vf_{direction}_{kind}",
                text.format(verb),
                _VF,
                (
                    (_vf_labels(view, device), getattr(counters, f"{direction}_{kind}"))
                    for device, counters in counted
                ),
            )
    for kind in ("broadcast", "multicast"):
        yield _numbers(
            f"sriov_vf_{kind}_packets",
            f"{kind.capitalize()} packets that a VF has received, as its PF counts them.",
            _VF,
            ((_vf_labels(view, device), getattr(counters, kind)) for device, counters in counted),
        )


def _of_pods(view: View, counts: Counts) -> Iterator[Metric]:
    devices = [(view.snapshot.devices.get(key), found) for key, found in counts.pods.items()]
    labelled = [(_pod_labels(view, d), found) for d, found in devices if d is not None]
    for kind, text in _POD_COUNTERS.items():
        for direction, verb in _VERBS.items():
            name = f"{direction}_{kind}"
            numbers = ((labels, getattr(found, name)) for labels, found in labelled)
            yield _numbers(f"sriov_pod_{name}", text.format(verb), _POD, numbers)


def _numbers(
    name: str,
    text: str,
    labels: Iterable[str],
    numbers: Iterable[tuple[list[str], int | None]],
) -> Metric:
    family = CounterMetricFamily(name, text, labels=tuple(labels))
    for label_values, number in numbers:
        if number is not None:
            family.add_metric(label_values, number)
    return family


def _counter(name: str, text: str, by_resource: Mapping[str, int]) -> Metric:
    numbers = ((values(resource), number) for resource, number in by_resource.items())
    return _numbers(name, text, ("resource",), numbers)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _vf_labels(view: View, device: Device) -> list[str]:
    return values(device.id, name_of_pf(view, device), _known(device.number))


def _pod_labels(view: View, device: Device) -> list[str]:
    holder = view.holders.get(device.id, _NOBODY)
    use = device.use
    resource = resources(view).get(device.id, "")
    named = values(resource, holder.namespace, holder.pod, use.interface, use.network)
    return [*_vf_labels(view, device), *named]


def _used_pfs(view: View) -> Iterator[Device]:
    return (pf for pf in physical_functions(view) if pf.enabled_vfs)


def _state(offer: Offer) -> str:
    return _MISSING if offer.missing is not None else offer.device.use.state.value


def _unhealthy(pool: Pool) -> int:
    return sum(not offer.healthy for offer in pool.offers.values())


def _known(value: object) -> object:
    return "" if value is None else value

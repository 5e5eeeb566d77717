# SPDX-License-Identifier: Apache-2.0
"""The metrics that a view and the kernel's counters make, as prometheus_client parses them."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sriov_cni.kernel.statistics import Counters, Pf, Vf, VfCounters
from sriov_node.device_plugin.pool import Offer, Pool
from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.fields import Fault
from sriov_node.inventory.device import Device, Snapshot, State, Use
from sriov_node.kubelet.holder import Holder
from sriov_node.metrics import counters, exporter, families
from sriov_node.metrics.collector import Metrics
from sriov_node.metrics.counters import Counts, Reader
from sriov_node.metrics.view import View, lacks

NAME = "intel.com/net"
PF = Device("0000:3b:00.0", "0000:3b:00.0", "8086", "1592", 0x020000, driver="ice")._replace(
    pf_names=("ens1f0", "uplink"), netdevs=("ens1f0",), enabled_vfs=4, carrier=True
)
FREE, NOTHING = Use(State.FREE), Counts()
IN_POD = Use(State.ATTACHED, "belongs to pod-1/net1", "pod-1", "net1", "fast", "/run/netns/pod-1")
HOLDER = Holder("shop", "web-0", "main", NAME)
VF_COUNTERS = VfCounters(1, 2, 3, 4, 5, 6, 7, 8)
POD_COUNTERS = Counters(11, 12, 13, 14, 15, 16, 17, 18)
Labels = Mapping[str, str]


def vf(number: int, use: Use = FREE, **others: Any) -> Device:
    """Return a VF of PF."""
    address = f"0000:3b:02.{number}"
    device = Device(address, address, "8086", "1889", 0x020000, driver="iavf", pf=PF.id)
    names = {"pf_names": PF.pf_names, "number": number, "numa_node": 1, "use": use}
    return device._replace(**{**names, **others})


def view(*vfs: Device, pf: Device = PF, **others: Any) -> View:
    """Return the view of a node with a PF, all of whose VFs are offered."""
    offers = {device.id: Offer(device, Selector()) for device in vfs}
    return View(
        scanned=True,
        snapshot=Snapshot({device.id: device for device in (pf, *vfs)}, (pf.id,)),
        pools=(Pool(Resource(NAME, (Selector(),)), offers),),
        registered={NAME: True},
    )._replace(**others)


def counted(vfs: Mapping[int, Vf], **others: Any) -> Counts:
    """Return what is counted on a node whose PF counts."""
    return Counts({PF.id: Pf(True, vfs)}, frozenset({PF.id}), {PF.id: 64})._replace(**others)


class Told:
    """Families to expose."""

    def __init__(self, seen: View, counts: Counts) -> None:
        self._seen, self._counts = seen, counts

    def collect(self) -> Any:
        yield from families.families(self._seen, self._counts)
        yield from exporter.families(self._seen, self._counts)


def samples(seen: View, counts: Counts = NOTHING) -> dict[str, list[tuple[Labels, float]]]:
    """Return all samples that a scrape has, by their names."""
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in parse_text(generate_latest(Told(seen, counts)).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def one(seen: View, counts: Counts, name: str) -> tuple[Labels, float]:
    """Return the only sample of a name."""
    (sample,) = samples(seen, counts)[name]
    return sample


def by_label(found: list[tuple[Labels, float]], label: str) -> dict[str, float]:
    return {labels[label]: value for labels, value in found}


def test_devices_are_counted_by_state_and_no_state_is_left_out() -> None:
    gone = vf(3)
    seen = view(vf(0), vf(1), vf(2, IN_POD), gone)
    pool = seen.pools[0]
    missing = pool.offers[gone.id]._replace(reason="it is gone", missing=1.0)
    seen = seen._replace(pools=(pool._replace(offers={**pool.offers, gone.id: missing}),))
    found = samples(seen)
    others = dict.fromkeys(("returning", "lost", "elsewhere", "host"), 0)
    expected = {"free": 2, "attached": 1, "missing": 1, **others}
    assert by_label(found["sriov_devices"], "state") == expected
    assert found["sriov_unhealthy_devices"] == [({"resource": NAME}, 1)]


def test_a_resource_without_devices_has_its_metrics_all_the_same() -> None:
    found = samples(view(registered={NAME: False}))
    assert set(by_label(found["sriov_devices"], "state").values()) == {0}
    assert found["sriov_kubelet_registered"] == [({"resource": NAME}, 0)]


def test_registrations_are_counted() -> None:
    found = samples(view(registrations={NAME: 3}, failures={NAME: 2}))
    assert found["sriov_registrations_total"] == [({"resource": NAME}, 3)]
    assert found["sriov_registration_failures_total"] == [({"resource": NAME}, 2)]


def test_problems_are_counted_by_kind() -> None:
    fault = Fault("x/y", "vendors", "7", "a list")
    seen = view(vf(0, Use(State.LOST)), faults=(fault,), registered={})
    pool = seen.pools[0]
    offers = {key: offer._replace(reason="why not") for key, offer in pool.offers.items()}
    seen = seen._replace(pools=(pool._replace(offers=offers),))
    found = samples(seen, counted({}, pfs={PF.id: Pf(False, {})}))
    problems = by_label(found["sriov_problems"], "check")
    checks = ("configuration", "lost", "pf_down", "unhealthy", "unregistered")
    assert problems == dict.fromkeys(checks, 1)
    assert found["sriov_lost_vfs"] == [({}, 1)]
    well = samples(view(vf(0)), counted({}))
    assert by_label(well["sriov_problems"], "check") == dict.fromkeys(checks, 0)


def test_a_pf_without_vfs_may_be_down() -> None:
    idle = PF._replace(enabled_vfs=0)
    found = samples(view(pf=idle), counted({}, pfs={PF.id: Pf(False, {})}))
    assert by_label(found["sriov_problems"], "check")["pf_down"] == 0
    assert found["sriov_pf_up"] == [({"device": PF.id, "pf": "ens1f0"}, 0)]


def test_a_pf_tells_its_vfs_and_what_it_could_have() -> None:
    found = samples(view(vf(0)), counted({}))
    assert by_label(found["sriov_pf_vfs"], "kind") == {"configured": 4, "total": 64}


def test_a_pf_that_cannot_be_asked_is_neither_up_nor_down() -> None:
    found = samples(view(vf(0)), Counts())
    assert "sriov_pf_up" not in found
    assert by_label(found["sriov_pf_vfs"], "kind") == {"configured": 4}


def test_a_vf_tells_what_it_is_and_who_has_it() -> None:
    seen = view(vf(2, IN_POD), holders={"0000:3b:02.2": HOLDER})
    shown = Vf("66:d8:02:77:aa:aa", 100, VF_COUNTERS)
    labels, value = one(seen, counted({2: shown}), "sriov_vf_info")
    assert value == 1
    assert labels == {
        "device": "0000:3b:02.2",
        "pf": "ens1f0",
        "vf": "2",
        "numa_node": "1",
        "driver": "iavf",
        "mac": "66:d8:02:77:aa:aa",
        "vlan": "100",
        "state": "attached",
        "resource": NAME,
        "namespace": "shop",
        "pod": "web-0",
        "container": "main",
    }


def test_what_is_not_known_of_a_vf_is_empty() -> None:
    bare = vf(0, pf_names=(), numa_node=None, driver=None)
    labels, _ = one(view(bare, pools=()), Counts(), "sriov_vf_info")
    empty = ("numa_node", "driver", "mac", "vlan", "resource", "namespace", "pod", "container")
    assert [labels[name] for name in empty] == [""] * len(empty)
    assert labels["pf"] == PF.id


def test_a_sub_function_is_not_taken_for_the_vf_of_its_number() -> None:
    part = vf(2, id="mlx5_core.sf.2", aux_type="sf")
    found = samples(view(vf(2), part), counted({2: Vf("02:00:00:00:00:02", 7, VF_COUNTERS)}))
    assert {labels["device"]: labels["vlan"] for labels, _ in found["sriov_vf_info"]} == {
        "0000:3b:02.2": "7",
        "mlx5_core.sf.2": "",
    }
    assert len(found["sriov_vf_rx_bytes_total"]) == 1


def test_a_pf_s_counters_come_as_its_driver_has_them() -> None:
    found = samples(view(vf(2)), counted({2: Vf(counters=VF_COUNTERS)}))
    numbers = {
        name: values[0][1]
        for name, values in found.items()
        if name.startswith("sriov_vf_") and name.endswith("_total")
    }
    assert numbers == {
        "sriov_vf_rx_packets_total": 1,
        "sriov_vf_tx_packets_total": 2,
        "sriov_vf_rx_bytes_total": 3,
        "sriov_vf_tx_bytes_total": 4,
        "sriov_vf_broadcast_packets_total": 5,
        "sriov_vf_multicast_packets_total": 6,
        "sriov_vf_rx_dropped_total": 7,
        "sriov_vf_tx_dropped_total": 8,
    }
    labels = {"device": "0000:3b:02.2", "pf": "ens1f0", "vf": "2"}
    assert found["sriov_vf_rx_bytes_total"] == [(labels, 3)]


def test_a_counter_that_the_driver_does_not_have_is_absent() -> None:
    nothing = Vf(counters=VfCounters(0, 0, 0, 0, 0, 0, 0, 0))
    for counts in (
        counted({2: nothing}, counting=frozenset()),
        counted({2: Vf(counters=VfCounters())}),
        counted({}),
    ):
        found = samples(view(vf(2)), counts)
        assert [n for n in found if n.startswith("sriov_vf_") and n != "sriov_vf_info"] == []
    part = VF_COUNTERS._replace(rx_dropped=None, tx_dropped=None)
    found = samples(view(vf(2)), counted({2: Vf(counters=part)}))
    assert "sriov_vf_rx_packets_total" in found
    assert [name for name in found if "dropped" in name] == []


def test_a_pod_s_interface_has_counters_of_its_own() -> None:
    seen = view(vf(2, IN_POD), holders={"0000:3b:02.2": HOLDER})
    found = samples(seen, Counts(pods={"0000:3b:02.2": POD_COUNTERS}))
    numbers = {n: v[0][1] for n, v in found.items() if n.startswith("sriov_pod_")}
    fields = POD_COUNTERS._asdict().items()
    assert numbers == {f"sriov_pod_{field}_total": number for field, number in fields}
    assert found["sriov_pod_rx_bytes_total"][0][0] == {
        "device": "0000:3b:02.2",
        "pf": "ens1f0",
        "vf": "2",
        "resource": NAME,
        "namespace": "shop",
        "pod": "web-0",
        "interface": "net1",
        "network": "fast",
    }
    assert found["sriov_attachments"] == [({}, 1)]


def test_the_exporter_s_names_and_labels() -> None:
    seen = view(vf(2, IN_POD), holders={"0000:3b:02.2": HOLDER, "gpu-0": HOLDER})
    found = samples(seen, counted({2: Vf(counters=VF_COUNTERS)}))
    labels = {"pf": "ens1f0", "vf": "2", "pciAddr": "0000:3b:02.2", "numa_node": "1"}
    fields = VF_COUNTERS._asdict()
    multicast, broadcast = fields.pop("multicast"), fields.pop("broadcast")
    for field, number in {**fields, "rx_multicast": multicast, "rx_broadcast": broadcast}.items():
        assert found[f"sriov_vf_{field}"] == [(labels, number)]
    pod = {"pod": "web-0", "namespace": "shop", "container": "main"}
    labels = {"pciAddr": "0000:3b:02.2", "dev_type": NAME, **pod}
    assert found["sriov_kubepoddevice"] == [(labels, 1)]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb 1\nc", "{}", "ü", "\udcff", "\udcfe\x00"])
@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
def test_a_name_is_data_whatever_is_in_it(name: str, accept: str) -> None:
    use = Use(State.ATTACHED, name, name, name, name, "/run/netns/pod")
    holder = Holder(name, name, name, name)
    device = vf(2, use, pf_names=(name,), driver=name)
    seen = view(device, holders={device.id: holder}, registrations={name: 1})
    counts = counted({2: Vf(counters=VF_COUNTERS)}, pods={device.id: POD_COUNTERS})

    class Own:
        def collect(self) -> Any:
            return families.families(seen, counts)

    text = choose_encoder(accept)[0](Own()).decode()
    parse: Any = parse_openmetrics if accept else parse_text
    found = {sample.name: sample.labels for each in parse(text) for sample in each.samples}
    expected = name.encode(errors="backslashreplace").decode()
    for sample, label in (
        ("sriov_vf_info", "driver"),
        ("sriov_vf_info", "pf"),
        ("sriov_pod_rx_bytes_total", "pod"),
        ("sriov_pod_rx_bytes_total", "interface"),
        ("sriov_registrations_total", "resource"),
    ):
        assert found[sample][label] == expected


def test_every_series_is_there_once() -> None:
    devices = [vf(0), vf(1, IN_POD), vf(2, pf_names=("\udcff",)), vf(3, pf_names=("\udcfe",))]
    devices.append(vf(1, id="mlx5_core.sf.1", aux_type="sf"))
    counts = counted(
        {n: Vf(counters=VF_COUNTERS) for n in range(4)}, pods={devices[1].id: POD_COUNTERS}
    )
    found = samples(view(*devices), counts)
    series = [(n, *sorted(labels.items())) for n, values in found.items() for labels, _ in values]
    assert len(series) == len(set(series))


@pytest.mark.parametrize("exporter_names", [False, True])
def test_a_scrape_may_ask_for_some_by_name(exporter_names: bool) -> None:
    metrics = Metrics(lambda: view(vf(0)), exporter_names=exporter_names)
    metrics.observe_allocate(NAME, 0.0007)
    some = metrics.registry.restricted_registry(
        ["sriov_attachments", "sriov_allocate_seconds_count"]
    )
    text = generate_latest(some).decode()
    assert sorted(line for line in text.splitlines() if line[0] != "#") == [
        f'sriov_allocate_seconds_count{{resource="{NAME}"}} 1.0',
        "sriov_attachments 0.0",
    ]


def test_the_kernel_is_asked_at_most_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [0.0], [0]

    def read(seen: View) -> dict[str, Pf]:
        asked[0] += 1
        return {PF.id: Pf(True, {})}

    monkeypatch.setattr(counters, "_pfs", read)
    reader = Reader(lambda: now[0])
    for moment, expected in ((0.0, 1), (0.9, 1), (1.0, 2), (1.5, 2), (9.0, 3)):
        now[0] = moment
        reader.read(view())
        assert asked == [expected]


def test_a_driver_that_keeps_the_kernel_busy_keeps_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy, done = threading.Event(), threading.Event()

    def read(seen: View) -> dict[str, Pf]:
        busy.set()
        done.wait(10)
        return {}

    monkeypatch.setattr(counters, "_pfs", read)
    monkeypatch.setattr(counters, "_PATIENCE", 0.05)
    reader = Reader()
    first = threading.Thread(target=reader.read, args=(view(),))
    first.start()
    busy.wait(10)
    with pytest.raises(TimeoutError, match="the kernel does not answer"):
        reader.read(view())
    done.set()
    first.join()
    assert reader.read(view()) == Counts()


def test_a_driver_that_counted_once_counts_though_all_is_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    zero = VfCounters(0, 0, 0, 0, 0, 0, 0, 0)
    some = zero._replace(tx_dropped=1)
    answers = iter([zero, some, zero])
    monkeypatch.setattr(
        counters, "_pfs", lambda seen: {PF.id: Pf(True, {0: Vf(counters=next(answers))})}
    )
    now = iter(range(100))
    reader = Reader(lambda: float(next(now)))
    found = [reader.read(view(vf(0))).counting for _ in range(3)]
    assert found == [frozenset(), {PF.id}, {PF.id}]


def test_an_agent_is_ready_when_nothing_is_missing() -> None:
    assert lacks(view(vf(0))) == ()
    assert lacks(View(scanned=True)) == ()
    assert lacks(View()) == ("devices have not been looked at yet",)
    fault = Fault("x/y", "vendors", "7", "a list")
    assert lacks(view(vf(0), registered={}, faults=(fault,))) == (
        str(fault),
        f"{NAME}: kubelet does not follow its list",
    )

# SPDX-License-Identifier: Apache-2.0
"""Metrics and alerts as Prometheus' own tool judges them."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import generate_latest

from sriov_cni.kernel.statistics import Counters, Pf, Vf, VfCounters
from sriov_node.device_plugin.pool import Offer, Pool
from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.inventory.device import Device, Snapshot, State, Use
from sriov_node.kubelet.holder import Holder
from sriov_node.metrics import counters
from sriov_node.metrics.collector import Metrics
from sriov_node.metrics.view import View
from tests.documents import ROOT
from tests.plugin import run

CACHE = Path(os.environ.get("SRIOV_CNI_CACHE") or Path.home() / ".cache" / "sriov-cni")
PROMTOOL = str(CACHE / "bin" / "promtool")
ALERTS = ROOT / "deploy" / "monitoring" / "alerts.yaml"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]
}
NODE = 'instance="node-1",job="sriov-agent"'
POD = f'{NODE},namespace="shop",pod="web-0",interface="net1",device="0000:3b:02.0"'


class Case(NamedTuple):
    """Series, one value a minute, for which an alert fires at a minute, and others it does not."""

    fires: Mapping[str, str]
    quiet: Mapping[str, str]
    at: int
    says: str


def gauge(name: str, labels: str, value: int) -> dict[str, str]:
    return {f"{name}{{{NODE},{labels}}}".replace(",}", "}"): f"{value}x60"}


def rate(name: str, per_second: int) -> dict[str, str]:
    return {f"{name}{{{POD}}}": f"0+{60 * per_second}x60"}


def states(free: int, attached: int) -> dict[str, str]:
    found = {"free": free, "attached": attached, "host": 0}
    return {
        series: values
        for state, count in found.items()
        for series, values in gauge("sriov_devices", f'resource="r",state="{state}"', count).items()
    }


def buckets(slow: int) -> dict[str, str]:
    """Return a histogram of ten calls a minute, some of them slow."""
    counts = {"0.001": 10 - slow, "1.0": 10 - slow, "5.0": 10, "+Inf": 10}
    name = "sriov_allocate_seconds_bucket"
    return {f'{name}{{{NODE},resource="r",le="{le}"}}': f"0+{n}x60" for le, n in counts.items()}


def pf(up: int, vfs: int) -> dict[str, str]:
    which = 'device="0000:3b:00.0",pf="eth1"'
    return {
        **gauge("sriov_pf_up", which, up),
        **gauge("sriov_pf_vfs", f'{which},kind="configured"', vfs),
        **gauge("sriov_pf_vfs", f'{which},kind="total"', 64),
    }


def jumps(count: int) -> dict[str, str]:
    each = 60 // count
    values = " ".join(str(minute // each) for minute in range(61))
    return {f'sriov_registrations_total{{{NODE},resource="r"}}': values}


CASES = {
    "SriovAgentDown": Case(gauge("up", "", 0), gauge("up", "", 1), 6, "node-1: the SR-IOV agent"),
    "SriovNotRegistered": Case(
        gauge("sriov_kubelet_registered", 'resource="r"', 0),
        gauge("sriov_kubelet_registered", 'resource="r"', 1),
        6,
        "node-1: kubelet does not follow r",
    ),
    "SriovRegistrationsKeepComing": Case(jumps(12), jumps(3), 60, "node-1: r is registered"),
    "SriovConfigurationFault": Case(
        gauge("sriov_problems", 'check="configuration"', 1),
        gauge("sriov_problems", 'check="configuration"', 0)
        | gauge("sriov_problems", 'check="pf_down"', 1),
        6,
        "node-1: the SR-IOV agent's configuration",
    ),
    "SriovNodeNotAsWanted": Case(
        gauge("sriov_node_in_desired_state", "", 0),
        gauge("sriov_node_in_desired_state", "", 1),
        16,
        "node-1: the SR-IOV cards are not",
    ),
    "SriovPfDown": Case(pf(0, 4), pf(0, 0), 6, "node-1: eth1 has VFs"),
    "SriovVfLost": Case(
        gauge("sriov_lost_vfs", "", 2), gauge("sriov_lost_vfs", "", 0), 16, "node-1: 2 VFs"
    ),
    "SriovDevicesUnhealthy": Case(
        gauge("sriov_unhealthy_devices", 'resource="r"', 3),
        gauge("sriov_unhealthy_devices", 'resource="r"', 0),
        16,
        "node-1: 3 devices of r",
    ),
    "SriovNoneFree": Case(states(0, 4), states(0, 0), 31, "node-1: no device of r"),
    "SriovPodDropsPackets": Case(
        rate("sriov_pod_rx_dropped_total", 90) | rate("sriov_pod_tx_dropped_total", 20),
        rate("sriov_pod_rx_dropped_total", 90) | rate("sriov_pod_tx_dropped_total", 0),
        30,
        "shop/web-0: net1 drops packets",
    ),
    "SriovPodErrors": Case(
        rate("sriov_pod_rx_errors_total", 1) | rate("sriov_pod_tx_errors_total", 1),
        rate("sriov_pod_rx_errors_total", 1) | rate("sriov_pod_tx_errors_total", 0),
        30,
        "shop/web-0: net1 has errors",
    ),
    "SriovAllocateSlow": Case(buckets(1), buckets(0), 50, "Allocate of r takes"),
}


def test_every_alert_is_tried() -> None:
    assert CASES.keys() == RULES.keys()


def test_prometheus_finds_no_fault_with_the_rules() -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in run(
        PROMTOOL, "check", "rules", "--lint-fatal", str(ALERTS)
    )


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_else_does_not(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]

    def firing(series: Mapping[str, str], minute: int) -> list[dict[str, Any]]:
        """Return the alerts of this name that promtool sees, told by what it says of none."""
        test = {
            "interval": "1m",
            "input_series": [{"series": s, "values": v} for s, v in series.items()],
            "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}],
        }
        document = {"rule_files": [str(ALERTS)], "tests": [test]}
        (tmp_path / "test.yaml").write_text(json.dumps(document))
        command = (PROMTOOL, "test", "rules", str(tmp_path / "test.yaml"))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return [] if done.returncode == 0 else [{"said": done.stdout + done.stderr}]

    (fired,) = firing(case.fires, case.at)
    assert f'alertname="{alert}"' in fired["said"]
    assert case.says in fired["said"]
    assert firing(case.quiet, case.at) == []
    if "for" in RULES[alert] and case.at < 30:
        assert firing(case.fires, case.at - 2) == []  # not at once


def test_prometheus_finds_no_fault_with_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    vf = Device("0000:3b:02.0", "0000:3b:02.0", "8086", "1889", 0x020000, pf="0000:3b:00.0")
    use = Use(State.ATTACHED, "", "pod-1", "net1", "fast", "/run/netns/pod")
    vf = vf._replace(number=0, pf_names=("eth1",), use=use)
    pf = Device("0000:3b:00.0", "0000:3b:00.0", "8086", "1592", 0x020000, pf_names=("eth1",))
    name = "intel.com/net"
    view = View(
        scanned=True,
        snapshot=Snapshot({vf.id: vf, pf.id: pf}, (pf.id,)),
        pools=(Pool(Resource(name, (Selector(),)), {vf.id: Offer(vf, Selector())}),),
        holders={vf.id: Holder("shop", 'a"\\\n', "main", name)},
        registered={name: True},
        registrations={name: 1},
        failures={name: 1},
        in_desired_state=True,
    )
    seen = {pf.id: Pf(True, {0: Vf(counters=VfCounters(1, 2, 3, 4, 5, 6, 7, 8))})}
    monkeypatch.setattr(counters, "_pfs", lambda view: seen)
    monkeypatch.setattr(counters, "_pods", lambda view: {vf.id: Counters(1, 2, 3, 4, 5, 6, 7, 8)})
    metrics = Metrics(lambda: view, exporter_names=False)
    metrics.observe_allocate(name, 0.001)
    exposed = generate_latest(metrics.registry)
    assert b"sriov_pod_rx_bytes_total{" in exposed
    done = subprocess.run((PROMTOOL, "check", "metrics"), input=exposed, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

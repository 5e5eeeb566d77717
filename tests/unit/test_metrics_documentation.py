# SPDX-License-Identifier: Apache-2.0
"""docs/metrics.md has every metric, label, state and alert; dashboard and alerts use no others."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from prometheus_client.core import Metric

from sriov_node.inventory.device import State
from sriov_node.metrics import exporter, families
from sriov_node.metrics.collector import Metrics
from sriov_node.metrics.counters import Counts
from sriov_node.metrics.view import View
from tests.documents import ROOT, text

PAGE = text("docs/metrics.md")
MONITORING = ROOT / "deploy" / "monitoring"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())


@cache
def served() -> dict[str, Metric]:
    """Return all families by the names they are scraped under."""
    registry = Metrics(View, exporter_names=True).registry
    found = (registry.collect(), exporter.families(View(), Counts()))
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for several in found
        for family in several
    }


def labels(family: Metric) -> set[str]:
    return set(getattr(family, "_labelnames", ()))


def rows() -> Iterator[tuple[str, list[str]]]:
    """Yield the metrics of the page's tables, each with its other cells."""
    for line in PAGE.splitlines():
        if row := re.match(r"\| `(sriov_\w+)` \| (.*) \|$", line):
            yield row[1], row[2].split(" | ")


def test_every_metric_has_a_row_and_every_row_a_metric() -> None:
    names = [name for name, _ in rows()]
    assert len(names) == len(set(names))
    assert set(names) == {name for name in served() if name.startswith("sriov_")}
    own = {name for name in served() if not name.startswith("sriov_")}
    assert set(re.findall(r"`(process_\w+)`", PAGE)) == own


def test_a_row_has_the_metric_s_labels() -> None:
    previous: set[str] = set()
    for name, cells in rows():
        listed = previous if cells[0] == "the same" else set(re.findall(r"`(\w+)`", cells[0]))
        family = served()[name]
        expected = {"resource"} if name == "sriov_allocate_seconds" else labels(family)
        assert listed == expected, name
        previous = listed


def test_every_state_and_every_check_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))
    assert {state.value for state in State} | {"missing"} <= described
    (problems,) = (f for f in families.families(View(), Counts()) if f.name == "sriov_problems")
    assert {sample.labels["check"] for sample in problems.samples} <= described


def used(expression: str) -> set[str]:
    """Return the metrics that an expression names; a histogram's without what it ends in."""
    names = set(re.findall(r"\b(?:sriov|process)_\w+", re.sub(r'"[^"]*"', "", expression)))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def selected(expression: str) -> Iterator[tuple[str, str]]:
    """Yield the labels that an expression selects by, each with its metric."""
    for name, selection in re.findall(r"(\w+)\{([^}]*)\}", expression):
        for label in re.findall(r"(\w+)\s*[=!]", re.sub(r'"[^"]*"', "", selection)):
            yield re.sub(r"_(bucket|sum|count)$", "", name), label


def check(expression: str) -> None:
    assert used(expression) <= served().keys()
    for name, label in selected(expression):
        known = {"resource"} if name == "sriov_allocate_seconds" else None
        if name != "up":
            assert label in (known or labels(served()[name])) | {"instance", "job"}, expression


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_uses_what_there_is_and_is_described(rule: dict[str, Any]) -> None:
    check(rule["expr"])
    after = rule.get("for", "").replace("m", " min")
    assert f"| `{rule['alert']}` | {after} | ".replace("  ", " ") in PAGE


def test_every_alert_described_is_there() -> None:
    described = re.findall(r"^\| `(Sriov\w+)` \|", PAGE, re.M)
    assert described == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: str(panel["title"]))
def test_a_panel_uses_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        assert used(target["expr"])
        check(target["expr"])


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = {name for p in DASHBOARD["panels"] for t in p["targets"] for name in used(t["expr"])}
    theirs = {family.name for family in exporter.families(View(), Counts())}
    own = {name for name in served() if name.startswith("sriov_")} - theirs
    assert own - shown == {"sriov_unhealthy_devices"}  # which sriov_problems counts


@pytest.mark.parametrize(
    "variable", DASHBOARD["templating"]["list"][1:], ids=lambda variable: str(variable["name"])
)
def test_a_variable_of_the_dashboard_asks_for_what_there_is(variable: dict[str, Any]) -> None:
    asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"])
    assert asked is not None
    assert asked[2] in labels(served()[asked[1]]) | {"instance"}


def test_the_job_to_scrape_is_the_one_that_alerts_and_dashboard_expect() -> None:
    (job,) = yaml.safe_load((MONITORING / "scrape.yaml").read_text())["scrape_configs"]
    assert job["job_name"] == "sriov-agent"
    assert job["honor_labels"] is True
    targets = [rule["target_label"] for rule in job["relabel_configs"]]
    assert targets == ["__address__", "instance"]

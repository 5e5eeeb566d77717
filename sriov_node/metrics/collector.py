# SPDX-License-Identifier: Apache-2.0
"""The metrics as prometheus_client collects them at each scrape."""

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from sriov_node.metrics import exporter, families
from sriov_node.metrics.counters import Counts, Reader
from sriov_node.metrics.view import View

# seconds; the goals for Allocate are 1 ms at the median and 10 ms for one call in a hundred
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)


class Metrics:
    """All metrics: those of the agent's process, and those that its knowledge tells.

    `ask` returns the agent's view, in any thread; what it raises, a scrape raises.
    `exporter_names`: the counters come a second time, as the exporter names them.
    """

    def __init__(self, ask: Callable[[], View], *, exporter_names: bool) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they tell nothing
        self.registry = CollectorRegistry()
        self._allocate = Histogram(
            "sriov_allocate_seconds",
            "Time that kubelet waited for an Allocate.",
            ("resource",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(_Collector(ask, exporter_names=exporter_names))
        ProcessCollector(registry=self.registry)

    def observe_allocate(self, resource: str, seconds: float) -> None:
        """Count an Allocate."""
        self._allocate.labels(resource).observe(seconds)


class _Collector(Collector):
    def __init__(self, ask: Callable[[], View], *, exporter_names: bool) -> None:
        self._ask = ask
        self._reader = Reader()
        self._exporter_names = exporter_names

    def collect(self) -> Iterator[Metric]:
        """Yield all families as they are now."""
        view = self._ask()
        yield from self._families(view, self._reader.read(view))

    def describe(self) -> Iterator[Metric]:
        """Yield all families without samples, so that a scrape can ask for some by name."""
        yield from self._families(View(), Counts())

    def _families(self, view: View, counts: Counts) -> Iterator[Metric]:
        yield from families.families(view, counts)
        if self._exporter_names:
            yield from exporter.families(view, counts)

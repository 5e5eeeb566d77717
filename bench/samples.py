# SPDX-License-Identifier: Apache-2.0
"""What was measured, and what is made of it: medians, spreads, ratios. Pure functions."""

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Sample(NamedTuple):
    """One process: seconds from start to end, seconds of CPU, minor page faults."""

    seconds: float
    cpu: float
    faults: int


class Summary(NamedTuple):
    """The median of a series, and the borders of its lowest and highest tenth."""

    median: float
    low: float
    high: float

    def times(self, factor: float) -> "Summary":
        """Return the same in another unit."""
        return Summary(*(value * factor for value in self))


def summary(values: Sequence[float]) -> Summary:
    """Summarize a series; that of a single value is that value."""
    if len(values) == 1:
        return Summary(values[0], values[0], values[0])
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return Summary(statistics.median(values), tenths[0], tenths[-1])


def spread(values: Summary) -> str:
    """Return it as the documents show it."""
    return f"{values.median:.1f} ({values.low:.1f}-{values.high:.1f})"


def milliseconds(seconds: Sequence[float]) -> str:
    """Return a series of seconds as the documents show it."""
    return spread(summary(seconds).times(1e3))


def ratio(these: Sequence[float], others: Sequence[float]) -> Summary:
    """Summarize the ratios of what was measured in the same round.

    A machine whose speed drifts slows both sides of such a ratio.
    """
    return summary([this / other for this, other in zip(these, others, strict=True)])


class Samples:
    """All samples of a run, by what was done and who did it, in the order of the rounds."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str], list[Sample]] = {}

    def add(self, command: str, name: str, sample: Sample) -> None:
        """Add what a round gave."""
        self._samples.setdefault((command, name), []).append(sample)

    def has(self, command: str, name: str) -> bool:
        """Tell whether this was measured."""
        return (command, name) in self._samples

    def seconds(self, command: str, name: str) -> list[float]:
        """Return the durations, one per round."""
        return [sample.seconds for sample in self._samples[command, name]]

    def cpu(self, command: str, name: str) -> list[float]:
        """Return the seconds of CPU, one per round."""
        return [sample.cpu for sample in self._samples[command, name]]

    def faults(self, command: str, name: str) -> list[float]:
        """Return the minor page faults, one per round."""
        return [sample.faults for sample in self._samples[command, name]]


class Bar(NamedTuple):
    """A promise: what is measured must not be above (`at_least`: below) the limit."""

    promise: str
    limit: float
    measured: Summary
    unit: str = ""
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Tell whether the median keeps it."""
        if self.at_least:
            return self.measured.median >= self.limit
        return self.measured.median <= self.limit


class Row(NamedTuple):
    """A figure of the agent beside that of the established device plugin, and the goal."""

    what: str
    peer: str
    goal: str
    measured: str
    kept: bool


def medians(runs: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the median of each key over several runs; where a run lacks a key, it counts 0."""
    listed = list(runs)
    keys = dict.fromkeys(key for run in listed for key in run)
    return {key: statistics.median(run.get(key, 0.0) for run in listed) for key in keys}

# SPDX-License-Identifier: Apache-2.0
"""docs/performance.svg: commands, growth and throughput in one picture."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from bench.contenders import BARE, FLOOR, GO, OURS
from bench.measure_times import AT_ONCE, DEVICES, VFS, devices_case, vfs_case
from bench.samples import Samples, Summary, summary
from bench.write_tables import COMMANDS, PLUGINS, WAYS, Measured, throughput

_COLORS = dict(zip(PLUGINS, ("#1b6ca8", "#5c9fd0", "#b5d6ee", "#d1603d", "#eeb49f"), strict=True))


def draw(measured: Measured, path: str) -> None:
    """Write the picture; the same figures give the same file."""
    settings = {"svg.hashsalt": "sriov-cni", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = pyplot.figure(figsize=(10, 9), layout="constrained")
        axes = figure.subplot_mosaic([["commands", "commands"], ["growth", "throughput"]])
        _draw_commands(axes["commands"], measured.samples)
        _draw_growth(axes["growth"], measured.samples)
        _draw_throughput(axes["throughput"], measured.samples)
        figure.suptitle(f"whole processes, median and p10-p90 of {measured.rounds} rounds")
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _draw_commands(axes: Any, samples: Samples) -> None:
    """Draw a group of bars per command, and the interpreters as lines across."""
    width = 0.8 / len(PLUGINS)
    for number, name in enumerate(PLUGINS):
        asked = [command for command in COMMANDS if samples.has(command, name)]
        places = [COMMANDS.index(command) + number * width for command in asked]
        values = [summary(samples.seconds(command, name)).times(1e3) for command in asked]
        medians = [value.median for value in values]
        errors = _errors(values)
        axes.bar(places, medians, width, yerr=errors, color=_COLORS[name], label=name)
    for name, style in ((FLOOR, "--"), (BARE, ":")):
        median = summary(samples.seconds("run", name)).median * 1e3
        axes.axhline(median, color="black", linewidth=1, linestyle=style, label=name)
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(COMMANDS))], COMMANDS)
    axes.set_ylabel("ms")
    axes.legend(fontsize=8)


def _draw_growth(axes: Any, samples: Samples) -> None:
    """Draw ADD over the number of VFs, for each way to ask for one, and of devices."""
    lines: list[tuple[str, Sequence[int], list[str]]] = [
        (way, VFS, [vfs_case(way, count) for count in VFS]) for way in WAYS
    ]
    lines.append(("other devices", DEVICES, [devices_case(count) for count in DEVICES]))
    for label, counts, cases in lines:
        values = [summary(samples.seconds("ADD", case)).times(1e3) for case in cases]
        medians = [value.median for value in values]
        axes.errorbar(counts, medians, yerr=_errors(values), marker="o", capsize=2, label=label)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("on the PF, or on the host")
    axes.set_ylabel("ADD, ms")
    axes.legend(fontsize=8)


def _draw_throughput(axes: Any, samples: Samples) -> None:
    """Draw ADDs per second, ours beside Go's."""
    for number, name in enumerate((OURS, GO)):
        values = [throughput(samples, name, count) for count in AT_ONCE]
        places = [place + number * 0.4 for place in range(len(AT_ONCE))]
        medians = [value.median for value in values]
        axes.bar(places, medians, 0.4, yerr=_errors(values), color=_COLORS[name], label=name)
    axes.set_xticks([place + 0.2 for place in range(len(AT_ONCE))], map(str, AT_ONCE))
    axes.set_xlabel("started at once")
    axes.set_ylabel("ADDs per second")
    axes.legend(fontsize=8)


def _errors(values: Sequence[Summary]) -> list[list[float]]:
    """Return how far the spread reaches below and above each median."""
    return [
        [value.median - value.low for value in values],
        [value.high - value.median for value in values],
    ]

# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/performance.md; pure functions of what was measured."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.contenders import (
    BARE,
    BEFORE,
    DEBIAN,
    FLOOR,
    GO,
    ON_DISK,
    OURS,
    RELEASED,
)
from bench.measure_costs import Costs
from bench.measure_stand_ins import ALL, cases
from bench.measure_times import (
    AT_ONCE,
    BY_ADDRESS,
    BY_INDEX,
    DEVICES,
    FIRST_FREE,
    VFS,
    at_once_case,
    devices_case,
    vfs_case,
)
from bench.samples import Bar, Row, Samples, Summary, milliseconds, ratio, spread, summary

_MIB = 2**20
_MODULES = 15  # the most expensive imports are listed
DOCUMENTS = {
    "performance.md": (
        "machine", "bars", "commands", "before", "footprint", "busy", "growth", "throughput",
        "breakdown", "imports", "agent",
    ),
    "start-up.md": ("stand-ins",),
}  # fmt: skip
PLUGINS = (OURS, RELEASED, ON_DISK, GO, DEBIAN)
COMMANDS = ("VERSION", "ADD", "CHECK", "DEL")
WAYS = (FIRST_FREE, BY_INDEX, BY_ADDRESS)


class Measured(NamedTuple):
    """Everything a run of the benchmark found out.

    `busy` is from a machine whose CPUs are all taken; in `stand_ins`, the contenders are the cases
    of measure_stand_ins.py.
    """

    rounds: int
    samples: Samples
    busy: Samples
    stand_ins: Samples
    costs: Costs
    agent: list[Row]


def tables(measured: Measured) -> dict[str, str]:
    """Return the text for each pair of marker comments but "machine"."""
    return {
        "bars": _bars(bars(measured)),
        "commands": _commands(measured),
        "before": _before(measured.samples),
        "busy": _busy(measured.busy),
        "stand-ins": _stand_ins(measured.stand_ins),
        "footprint": _footprint(measured),
        "growth": _growth(measured.samples),
        "throughput": _throughput(measured.samples),
        "breakdown": _breakdown(measured),
        "imports": _imports(measured),
        "agent": agent(measured.agent),
    }


def insert(document: str, texts: dict[str, str]) -> str:
    """Return a document with each text between its marker comments, whatever was there before.

    The markers are <!-- name --> and <!-- /name -->; raises ValueError if a pair is not there once.
    """
    for name, text in texts.items():
        pattern = rf"(?<=^<!-- {name} -->\n).*?(?=^<!-- /{name} -->$)"
        replacement = f"\n{text}\n\n".replace("\\", r"\\")
        document, found = re.subn(pattern, replacement, document, flags=re.M | re.S)
        if found != 1:
            raise ValueError(f"the document has {found} pairs of markers for {name}, not one")
    return document


def bars(measured: Measured) -> list[Bar]:
    """Return the promises and what was measured of them."""
    samples = measured.samples
    seconds = samples.seconds

    def against(command: str, name: str, other: str, *, others: str = "") -> Summary:
        return ratio(seconds(command, name), seconds(others or command, other))

    grown = [
        Bar(
            f"ADD, {way}, of {VFS[-1]} against {VFS[0]}",
            1.1,
            against("ADD", vfs_case(way, VFS[-1]), vfs_case(way, VFS[0])),
        )
        for way in WAYS
    ]
    most = at_once_case(AT_ONCE[-1])
    peak = max(
        footprint.peak for (_, name), footprint in measured.costs.footprints.items() if name == OURS
    )
    return [
        Bar(f"ADD against {GO}", 1.0, against("ADD", OURS, GO)),
        Bar(f"DEL against {GO}", 1.0, against("DEL", OURS, GO)),
        Bar(f"ADD against the floor ({FLOOR})", 2.0, against("ADD", OURS, FLOOR, others="run")),
        Bar(f"VERSION against `{BARE}`", 2.5, against("VERSION", OURS, BARE, others="run")),
        Bar("peak memory", 30, Summary(*[peak / _MIB] * 3), "MiB"),
        *grown,
        Bar(
            f"ADD beside {DEVICES[-1]} devices against {DEVICES[0]}",
            1.1,
            against("ADD", devices_case(DEVICES[-1]), devices_case(DEVICES[0])),
        ),
        Bar(
            f"ADDs per second, {AT_ONCE[-1]} at once, against {GO}",
            1.0,
            ratio(seconds(most, GO), seconds(most, OURS)),
            at_least=True,
        ),
    ]


def _bars(bars: Sequence[Bar]) -> str:
    rows = []
    for bar in bars:
        unit = f" {bar.unit}" if bar.unit else ""
        limit = f"{'≥' if bar.at_least else '≤'} {bar.limit:g}{unit}"
        measured = f"{bar.measured.median:.1f}{unit}" if unit else _ratio(bar.measured)
        rows.append([bar.promise, limit, measured, "pass" if bar.kept else "**fail**"])
    return _table(["promise", "bar", "measured", ""], rows)


def _commands(measured: Measured) -> str:
    samples = measured.samples
    rows = []
    for name in (*PLUGINS, *([BEFORE] if samples.has("ADD", BEFORE) else [])):
        row = [name]
        for command in COMMANDS:
            asked = samples.has(command, name)
            row.append(milliseconds(samples.seconds(command, name)) if asked else "")
        against = ratio(samples.seconds("ADD", name), samples.seconds("ADD", GO))
        rows.append([*row, _ratio(against) if name != GO else "1"])
    interpreters = [
        [f"`{BARE}`", milliseconds(samples.seconds("run", BARE)), "", "", "", ""],
        [f"floor: {FLOOR}", "", milliseconds(samples.seconds("run", FLOOR)), "", "", ""],
    ]
    return _table(["ms", *COMMANDS, f"ADD against {GO}"], rows + interpreters)


def _footprint(measured: Measured) -> str:
    samples, costs = measured.samples, measured.costs
    least = costs.least_peak * 1.05  # it varies by some pages

    def mebibytes(peak: int) -> str:
        return f"{peak / _MIB:.1f}" if peak > least else f"< {least / _MIB:.1f}"

    rows = []
    for (command, name), footprint in costs.footprints.items():
        size = f"{footprint.installed / _MIB:.1f}" if footprint.installed else ""
        cpu = milliseconds(samples.cpu(command, name))
        faults = f"{summary(samples.faults(command, name)).median:.0f}"
        against = ""
        if size:
            against = _ratio(ratio(samples.cpu(command, name), samples.cpu(command, GO)))
        calls = str(footprint.system_calls)
        called = f"{name}: {command}" if size else f"`{name}`" if name == BARE else name
        memory = mebibytes(footprint.peak)
        rows.append([called, size, memory, cpu, against if name != GO else "1", calls, faults])
    header = ["", "installed, MiB", "peak memory, MiB", "CPU, ms", f"CPU against {GO}"]
    return _table([*header, "system calls", "page faults"], rows)


def _before(samples: Samples) -> str:
    if not samples.has("ADD", BEFORE):
        return "Not measured in this run: `BENCH_BEFORE` names no commit."
    rows = []
    for what, series in (("time", samples.seconds), ("CPU", samples.cpu)):
        for command in COMMANDS:
            before, now = series(command, BEFORE), series(command, OURS)
            cells = [milliseconds(before), milliseconds(now), _ratio(ratio(now, before))]
            rows.append([f"{command}: {what}", *cells])
    return _table(["ms", "before", "now", "now against before"], rows)


def _busy(samples: Samples) -> str:
    rows = []
    for what, series in (("time", samples.seconds), ("CPU", samples.cpu)):
        for command in ("ADD", "DEL"):
            ours, others = series(command, OURS), series(command, GO)
            cells = [milliseconds(ours), milliseconds(others), _ratio(ratio(ours, others))]
            rows.append([f"{command}: {what}, ms", *cells])
    case = at_once_case(AT_ONCE[-1])
    rates = [spread(throughput(samples, name, AT_ONCE[-1])) for name in (OURS, GO)]
    against = ratio(samples.seconds(case, GO), samples.seconds(case, OURS))
    rows.append([f"{AT_ONCE[-1]} at once, ADD/s", *rates, _ratio(against)])
    return _table(["", OURS, GO, f"against {GO}"], rows)


def _stand_ins(samples: Samples) -> str:
    complete = samples.cpu("ADD", ALL)
    gains = {}
    for case in cases():
        without = samples.cpu("ADD", case)
        paired = zip(without, complete, strict=True)
        gains[case] = summary([this - other for this, other in paired]).times(1e3)
    listed = sorted((case for case in gains if case != ALL), key=lambda case: -gains[case].median)
    rows = [[f"`{case}`", spread(gains[case])] for case in listed]
    rows.append(["all of them: an ADD takes", milliseconds(complete)])
    return _table(["stand-in", "CPU that an ADD takes more without it, ms"], rows)


def _growth(samples: Samples) -> str:
    beside = "beside other devices on the host"
    by_vfs = [(way, [vfs_case(way, count) for count in VFS]) for way in WAYS]
    by_devices = [(beside, [devices_case(count) for count in DEVICES])]
    parts = []
    for unit, counts, rows in (("VFs", VFS, by_vfs), ("devices", DEVICES, by_devices)):
        header = ["ADD, ms", *(f"{count}" for count in counts), f"{counts[-1]} against {counts[0]}"]
        header[1] += f" {unit}" if counts[0] > 1 else f" {unit[:-1]}"
        lines = []
        for name, columns in rows:
            series = [samples.seconds("ADD", column) for column in columns]
            cells = [milliseconds(values) for values in series]
            lines.append([name, *cells, _ratio(ratio(series[-1], series[0]))])
        parts.append(_table(header, lines))
    return "\n\n".join(parts)


def throughput(samples: Samples, name: str, at_once: int) -> Summary:
    """Return the ADDs per second of so many started at once."""
    return summary([at_once / seconds for seconds in samples.seconds(at_once_case(at_once), name)])


def _throughput(samples: Samples) -> str:
    rows = []
    for at_once in AT_ONCE:
        case = at_once_case(at_once)
        against = ratio(samples.seconds(case, GO), samples.seconds(case, OURS))
        contenders = [spread(throughput(samples, name, at_once)) for name in (OURS, GO)]
        rows.append([str(at_once), *contenders, _ratio(against)])
    return _table(["at once", f"{OURS}, ADD/s", f"{GO}, ADD/s", "ratio"], rows)


def breakdown(measured: Measured) -> dict[str, dict[str, float]]:
    """Return the seconds of each part, of this project's ADD and of the floor."""
    samples, costs = measured.samples, measured.costs
    parts = {}
    for name, command in ((OURS, "ADD"), (FLOOR, "run")):
        known = {
            "interpreter's start and end": summary(samples.seconds("run", BARE)).median,
            "imports": sum(costs.imports.values()) if name == OURS else 0.0,
            "kernel: netlink": costs.kernel[name],
        }
        whole = summary(samples.seconds(command, name)).median
        parts[name] = known | {"the rest": whole - sum(known.values()), "whole": whole}
    return parts


def _breakdown(measured: Measured) -> str:
    parts = breakdown(measured)
    whole = parts[OURS]["whole"]
    rows = [
        [part, f"{value * 1e3:.1f}", f"{value / whole:.0%}", f"{parts[FLOOR][part] * 1e3:.1f}"]
        for part, value in parts[OURS].items()
    ]
    return _table(["ms", f"ADD, {OURS}", "share", "floor"], rows)


def _imports(measured: Measured) -> str:
    imports = measured.costs.imports
    listed = sorted(imports, key=lambda name: -imports[name])[:_MODULES]
    rows = [[f"`{name}`", f"{imports[name] * 1e3:.2f}"] for name in listed]
    others = sum(imports.values()) - sum(imports[name] for name in listed)
    rows.append([f"{len(imports) - len(listed)} others", f"{others * 1e3:.2f}"])
    return _table(["import", "itself, ms"], rows)


def agent(rows: Iterable[Row]) -> str:
    """Return the table of the agent."""
    header = ["agent", "established device plugin", "goal", "measured", ""]
    return _table(header, [[*row[:-1], "pass" if row.kept else "**fail**"] for row in rows])


def _ratio(values: Summary) -> str:
    return f"{values.median:.2f} ({values.low:.2f}-{values.high:.2f})"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    marks = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, marks, *rows))

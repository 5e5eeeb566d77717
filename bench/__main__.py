# SPDX-License-Identifier: Apache-2.0
"""python -m bench [DIRECTORY]: measure, and write performance.md and performance.svg there (docs/).

BENCH_ROUNDS in the environment is the number of rounds. The document's prose is kept.
"""

import os
import shutil
import sys
import time
from pathlib import Path

from bench import contenders, inside, machine, plot, report, rounds
from bench.figures import Samples
from bench.report import Measured
from bench.stage import BenchError

_ROUNDS = 30
_LOOKS = 5  # calls with importtime and strace


def main() -> None:
    """Measure and write; say on stdout what is going on and which promises are kept."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else contenders.ROOT / "docs"
    try:
        count = int(os.environ.get("BENCH_ROUNDS") or _ROUNDS)
        if count < 1:
            raise ValueError(count)
    except ValueError:
        sys.exit("bench: BENCH_ROUNDS must be a positive number")
    template = (contenders.ROOT / "docs/performance.md").read_text(encoding="utf-8")
    report.insert(template, dict.fromkeys(report.SECTIONS, ""))  # fails now or never
    load = os.getloadavg()[0]
    try:
        contenders.expect_executables()
        measured = _measure(count)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    texts = report.tables(measured) | {"machine": machine.describe(count, load)}
    document = report.insert(template, texts)
    (directory / "performance.md").write_text(document, encoding="utf-8")
    plot.draw(measured, str(directory / "performance.svg"))
    print(texts["bars"])
    print(f"== written: {directory}/performance.md, {directory}/performance.svg")


def _measure(count: int) -> Measured:
    samples = Samples()
    state = rounds.state_directory()
    began = time.monotonic()
    try:
        _say(began, f"VERSION, ADD, CHECK and DEL: {count} rounds")
        rounds.measure_commands(samples, count, state)
    finally:
        shutil.rmtree(state)
    _say(began, f"more VFs and more devices: {count} rounds")
    rounds.measure_growth(samples, count)
    _say(began, f"several ADDs at once: {count} rounds")
    rounds.measure_throughput(samples, count)
    _say(began, "memory, system calls, imports")
    seen = inside.look(min(count, _LOOKS))
    _say(began, "measured")
    return Measured(count, samples, seen)


def _say(began: float, text: str) -> None:
    print(f"== {time.monotonic() - began:3.0f} s: {text}", flush=True)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""python -m bench [DIRECTORY]: measure, and write the figures into the documents there (docs/).

BENCH_ROUNDS in the environment is the number of rounds. BENCH_BEFORE is a commit whose executables
are built and measured beside these. The documents' prose is kept.
"""

import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from bench import (
    build_before,
    contenders,
    describe_machine,
    draw_picture,
    measure_agent,
    measure_costs,
    measure_times,
    write_tables,
)
from bench.measure_stand_ins import measure_stand_ins
from bench.node import BenchError
from bench.samples import Samples
from bench.write_tables import Measured

_ROUNDS = 30
_LOOKS = 5  # calls with importtime and strace
_FEW = 15  # rounds of what takes long: a busy machine, each stand-in


def main() -> None:
    """Measure and write; say on stdout what is going on and which promises are kept."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else contenders.ROOT / "docs"
    try:
        count = int(os.environ.get("BENCH_ROUNDS") or _ROUNDS)
        if count < 1:
            raise ValueError(count)
    except ValueError:
        sys.exit("bench: BENCH_ROUNDS must be a positive number")
    templates = {
        name: (contenders.ROOT / "docs" / name).read_text(encoding="utf-8")
        for name in write_tables.DOCUMENTS
    }
    for name, sections in write_tables.DOCUMENTS.items():
        write_tables.insert(templates[name], dict.fromkeys(sections, ""))  # fails now or never
    load = os.getloadavg()[0]
    before = os.environ.get("BENCH_BEFORE", "")
    try:
        contenders.expect_executables()
        measured = _measure(count, before)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    texts = write_tables.tables(measured)
    texts["machine"] = describe_machine.describe(count, load, before)
    for name, sections in write_tables.DOCUMENTS.items():
        document = write_tables.insert(templates[name], {key: texts[key] for key in sections})
        (directory / name).write_text(document, encoding="utf-8")
    draw_picture.draw(measured, str(directory / "performance.svg"))
    print(texts["bars"])
    print(f"== written: {', '.join(write_tables.DOCUMENTS)} and performance.svg in {directory}")


def _measure(count: int, before: str) -> Measured:
    samples, busy, stand_ins = Samples(), Samples(), Samples()
    began = time.monotonic()
    few = min(count, _FEW)
    with ExitStack() as exits:
        state = measure_times.state_directory()
        exits.callback(shutil.rmtree, state)
        if before:
            _say(began, f"building the executables of {before}")
            contenders.add_before(exits.enter_context(build_before.bundle_of(before)))
        _say(began, f"VERSION, ADD, CHECK and DEL: {count} rounds")
        measure_times.measure_commands(samples, count, state)
        _say(began, f"more VFs and more devices: {count} rounds")
        measure_times.measure_growth(samples, count)
        _say(began, f"several ADDs at once: {count} rounds")
        measure_times.measure_throughput(samples, count)
        _say(began, f"on a busy machine: {few} rounds")
        measure_times.measure_busy(busy, few)
        _say(began, f"without each stand-in: {few} rounds")
        measure_stand_ins(stand_ins, few)
        _say(began, "memory, system calls, imports")
        costs = measure_costs.look(min(count, _LOOKS))
        _say(began, f"the agent: {min(count, _LOOKS)} rounds")
        agent = measure_agent.measure_agent(count)
        _say(began, "measured")
        return Measured(count, samples, busy, stand_ins, costs, agent)


def _say(began: float, text: str) -> None:
    print(f"== {time.monotonic() - began:3.0f} s: {text}", flush=True)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The fuzzer's process, in the sandbox: `fuzz TARGET DIRECTORY SECONDS`.

Coverage-guided (atheris, libFuzzer): the product is instrumented, inputs that reach new code are
kept and changed further. An input that breaks a rule is written to the directory, and ends the run.
"""

import gc
import importlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sriov_cni", "ipam"]):
    from tests.hostile.fuzz_target import FuzzTarget, judge

from tests.hostile.mutation import mutate

_LARGEST = 8192  # bytes; larger inputs have tests of their own
_SLOWEST = 30  # seconds until libFuzzer ends a call that hangs


def _try(target: FuzzTarget, data: bytes) -> None:
    problems = judge(target, data)
    if problems:
        raise AssertionError("; ".join(problems))


def main(name: str, directory: str, seconds: str) -> None:
    """Run until the time is over or a rule is broken."""
    with atheris.instrument_imports(include=["sriov_cni", "ipam", "sriov_node"]):
        target: FuzzTarget = importlib.import_module(f"tests.hostile.targets.{name}").TARGET
    corpus = Path(directory, "corpus")
    corpus.mkdir()
    for number, case in enumerate(target.seeds()):
        (corpus / f"{number:03}").write_bytes(case.encode())
    gc.freeze()  # what is there now need not be looked at after every call
    options = {
        "max_total_time": seconds,
        "max_len": _LARGEST,
        "timeout": _SLOWEST,
        "report_slow_units": _SLOWEST,
        "seed": 1,
        "len_control": 0,
        "rss_limit_mb": 4096,
        "artifact_prefix": f"{directory}/broken-",
        "print_final_stats": 1,
    }
    arguments = [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(corpus)]
    atheris.Setup(arguments, lambda data: _try(target, data), custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])

# SPDX-License-Identifier: Apache-2.0
"""The judge's process, in the sandbox: `replay TARGET FILE...` prints a line for each problem."""

import importlib
import os
import sys
from pathlib import Path

from tests.hostile.fuzz_target import judge


def main(name: str, *files: str) -> None:
    """Judge cases from files; a line with the file's name for each problem."""
    target = importlib.import_module(f"tests.hostile.targets.{name}").TARGET
    for file in files:
        for problem in judge(target, Path(file).read_bytes()):
            print(f"{os.path.basename(file)}: {problem}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

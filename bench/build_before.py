# SPDX-License-Identifier: Apache-2.0
"""The executables of an earlier commit, built beside those that are measured."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contenders import ROOT
from bench.node import BenchError


@contextmanager
def bundle_of(commit: str) -> Iterator[Path]:
    """Build a commit's bundle with this Python, and keep it for the length of a with-statement."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="before-", dir=ROOT / "build") as source:
        _run(f"git -C '{ROOT}' archive '{commit}' | tar -x", source)
        _run(f"tools/build '{sys.executable}' dist", source)
        yield Path(source) / "dist/sriov-cni"


def _run(script: str, directory: str) -> None:
    command = ["bash", "-o", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{script}: {done.stderr}")

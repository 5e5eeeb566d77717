# SPDX-License-Identifier: Apache-2.0
"""The executables, run from source; and what stands for their success and failure."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.plugin import Document, Outcome, Plugin

REPOSITORY = Path(__file__).resolve().parents[2]
SRIOV = Plugin(sys.executable, "-m", "sriov_cni")
FIXIPAM = Plugin(sys.executable, "-m", "ipam")
SILENCE = Outcome(0, {}, "")  # what every command but ADD and VERSION prints on success


def result(outcome: Outcome) -> Document:
    """Return the document of a call that succeeded, without a word on stderr."""
    assert (outcome.status, outcome.stderr) == (0, ""), outcome
    return outcome.document


def error(outcome: Outcome) -> tuple[int, str]:
    """Return code and message of a call that failed with an error object, and nothing else."""
    document = outcome.document
    assert (outcome.status, outcome.stderr) == (1, ""), outcome
    assert {"cniVersion", "code", "msg"} <= document.keys() <= _ERROR_KEYS, outcome
    return outcome.code, outcome.said


_ERROR_KEYS = {"cniVersion", "code", "msg", "details"}


def execute(
    *command: str,
    environment: Mapping[str, str],
    stdin: bytes = b"{}",
    stdout: Any = subprocess.PIPE,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a call with these variables, and no others, and these bytes on stdin."""
    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        return subprocess.run(
            command,
            env=environment,
            stdin=file,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd=REPOSITORY,
            timeout=60,
            check=False,
        )

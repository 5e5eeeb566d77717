# SPDX-License-Identifier: Apache-2.0
"""The fuzzer's run: every kind of input for a while, all at once.

HOSTILE=<seconds> says how long. What breaks a rule is shown as it is to be kept in FOUND
(tests/hostile/test_found.py).
"""

import os
import re
from pathlib import Path

import pytest

from tests.hostile import sandbox
from tests.hostile.case import decode

_TARGETS = ("configurations", "requests", "answers", "records", "trees", "node_configurations")
_SECONDS = int(os.environ.get("HOSTILE", "15"))
_DONE = re.compile(r"#(\d+)\s+DONE\s+cov: (\d+)")


def test_whatever_comes_in_the_answer_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("atheris", reason="no atheris for this Python or machine")
    running = {}
    for target in _TARGETS:
        directory = tmp_path / target
        directory.mkdir()
        arguments = (target, str(directory), str(_SECONDS))
        running[target] = sandbox.run(str(directory), "tests.hostile.fuzz", *arguments)
    broken = []
    for target, process in running.items():
        output, _ = process.communicate(timeout=_SECONDS + 120)
        done = _DONE.search(output)
        figures = f"{done[1]} executions, {done[2]} branches" if done else "ended early"
        with capsys.disabled():
            print(f"\n{target}: {figures}", end="", flush=True)
        found = [decode(path.read_bytes()) for path in (tmp_path / target).glob("broken-*")]
        if found or not done or process.returncode != 0:
            broken.append(f"{target}: {found}\n{output[-2000:]}")
    assert not broken, "\n".join(broken)

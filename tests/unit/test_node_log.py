# SPDX-License-Identifier: Apache-2.0
"""The lines that a program of the node writes about what happens to it."""

import json
import subprocess
import sys

import pytest

WRITING = """
import logging, sys
from sriov_node import log
log.begin("sriov-agent", sys.argv[1], sys.argv[2])
logging.getLogger("sriov_node").debug("a detail")
logging.getLogger("sriov_node").info("two\\nlines, \\x1b[31mred")
logging.getLogger("grpclib").error("a frame")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("sriov_node").exception("a bug")
"""


def lines(level: str, form: str) -> list[str]:
    """Return what is written at a level."""
    command = [sys.executable, "-P", "-c", WRITING, level, form]
    done = subprocess.run(command, stderr=subprocess.PIPE, check=True, text=True)
    return done.stderr.splitlines()


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    first, second = lines("info", "text")
    assert " info sriov-agent[" in first
    assert first.endswith(r"]: two\nlines, \x1b[31mred")
    assert " error sriov-agent[" in second
    assert "a bug: Traceback" in second
    assert second.endswith("ZeroDivisionError: division by zero")


def test_json_has_an_object_per_line() -> None:
    first, second = map(json.loads, lines("info", "json"))
    assert (first["level"], first["program"]) == ("info", "sriov-agent")
    assert first["msg"] == "two\nlines, \x1b[31mred"
    assert second["traceback"].endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("error", 1)])
def test_the_level_decides(level: str, count: int) -> None:
    assert len(lines(level, "text")) == count

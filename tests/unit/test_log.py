# SPDX-License-Identifier: Apache-2.0
"""The log: one line per call whatever it says, and a file that can be nobody's trap."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_cni.cni import log

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (\w+) [^ ]*\[\d+\]: ([^\n]*)\n")
anything = st.text(st.characters(exclude_categories=()), max_size=50)


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    """Leave the log as a process finds it."""
    yield
    log.configure("info", None)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@given(anything | st.text("\n\r\t\0\x1b\x85\u2028\u202e\\n"))
def test_a_line_is_one_line_and_steers_no_terminal(directory: Path, text: str) -> None:
    path = directory / "log"
    path.unlink(missing_ok=True)
    log.configure("info", str(path))
    log.write("error", text)
    written = LINE.fullmatch(path.read_text("utf-8"))
    assert written is not None
    assert written[1] == "error"
    assert written[2].isprintable()


def test_what_looks_like_another_line_stays_within_its_own(tmp_path: Path) -> None:
    log.configure("info", str(tmp_path / "log"))
    log.write("warning", "x\n2026-01-01T00:00:00Z error sriov[1]: forged")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [LINE.fullmatch(f"{line}\n")[1] for line in lines] == ["warning"]  # type: ignore[index]


def test_a_log_file_is_the_owners_alone(tmp_path: Path) -> None:
    log.configure("info", str(tmp_path / "log"))
    log.write("error", "text")
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def plant_fifo(path: Path) -> None:
    os.mkfifo(path)


def plant_link(path: Path) -> None:
    path.with_name("victim").write_text("precious")
    path.symlink_to("victim")


def plant_directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("plant", [plant_fifo, plant_link, plant_directory])
def test_what_cannot_be_the_log_file_leaves_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], plant: Callable[[Path], None]
) -> None:
    plant(tmp_path / "log")
    log.configure("info", str(tmp_path / "log"))
    log.write("error", "text")
    assert capfd.readouterr().err.endswith(": text\n")
    assert not (tmp_path / "victim").exists() or (tmp_path / "victim").read_text() == "precious"


def test_a_fifo_that_nobody_empties_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    log.configure("info", str(tmp_path / "log"))
    for _ in range(100):
        log.write("error", "x" * 2000)
    os.close(reader)

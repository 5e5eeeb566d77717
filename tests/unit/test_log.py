# SPDX-License-Identifier: Apache-2.0
"""The log: one line per write whatever it says, and a file that can be nobody's trap."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_cni.cni import log
from tests.unit.executable import REPOSITORY
from tests.unit.loglines import VALUES, values_of

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


@given(anything | st.text("\n\r\t\0\x1b\x85\u2028\u202e\\n"))
def test_a_line_of_json_is_one_object(directory: Path, text: str) -> None:
    path = directory / "log"
    path.unlink(missing_ok=True)
    log.configure("info", str(path), "json")
    log.write("warning", text)
    (line,) = path.read_bytes().split(b"\n")[:-1]
    assert line.isascii()
    assert line.decode().isprintable()
    written = json.loads(line)
    assert list(written) == ["time", "level", "plugin", "pid", "msg"]
    assert (written["level"], written["pid"], written["msg"]) == ("warning", os.getpid(), text)


@given(st.dictionaries(st.sampled_from(["command", "pod", "vf", "msg"]), VALUES))
def test_no_value_forges_a_key_or_a_line(directory: Path, values: dict[str, log.Value]) -> None:
    path = directory / "log"
    for format_ in log.FORMATS:
        path.unlink(missing_ok=True)
        log.configure("info", str(path), format_)
        log.write_values("info", values)
        (line,) = path.read_text("utf-8").split("\n")[:-1]
        expected = values if format_ == "json" else {k: str(v) for k, v in values.items()}
        assert values_of(line) == expected
        assert line.isprintable()


def test_only_the_line_of_an_operation_begins_with_its_command(tmp_path: Path) -> None:
    log.configure("info", str(tmp_path / "log"))
    log.write("error", "command=ADD outcome=ok is not a device")
    assert values_of((tmp_path / "log").read_text()) == {
        "msg": "command=ADD outcome=ok is not a device"
    }


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


WRITER = """
import os, sys
from sriov_cni.cni import log
log.configure("info", sys.argv[1], "json")
number = 0
while not os.path.exists(sys.argv[2]):
    log.write_values("info", {"pod": sys.argv[3], "vf": number, "msg": "x" * 300})
    number += 1
print(number)
"""


def test_many_writers_and_rotations_lose_and_tear_no_line(tmp_path: Path) -> None:
    path, end, logs = tmp_path / "log", tmp_path / "end", [tmp_path / "log"]
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, path, end, str(writer)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
        )
        for writer in range(8)
    ]
    while len(logs) < 6:
        if path.exists() and path.stat().st_size > 100_000:
            logs.append(path.rename(tmp_path / f"log.{len(logs)}"))
    end.touch()
    counts = [int(program.communicate()[0]) for program in programs]
    written = [values_of(line) for log in logs if log.exists() for line in log.open()]
    expected = [(str(writer), n) for writer, count in enumerate(counts) for n in range(count)]
    assert sorted((line["pod"], line["vf"]) for line in written) == expected
    assert {line["msg"] for line in written} == {"x" * 300}

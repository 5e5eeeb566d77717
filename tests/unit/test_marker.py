# SPDX-License-Identifier: Apache-2.0
"""Which PFs are being prepared: others see it at once, and a process that dies tells it no more."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asyncinotify import Inotify, Mask

from sriov_node.preparation import marker
from tests.plugin import wait_for
from tests.unit.executable import REPOSITORY

PF, OTHER = "0000:3b:00.0", "0000:3b:00.1"
HOLDER = """
import sys
from sriov_node.preparation import marker
with marker.holding(sys.argv[1], sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def preparing(directory: Path, pf: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that prepares a PF until its standard input ends."""
    command = [sys.executable, "-c", HOLDER, str(directory), pf]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_nobody_prepares_anything_where_there_is_no_directory(tmp_path: Path) -> None:
    assert marker.held(str(tmp_path / "none")) == frozenset()


def test_a_pf_is_prepared_for_as_long_as_the_file_is_locked(tmp_path: Path) -> None:
    with preparing(tmp_path / "run", PF) as process:
        assert marker.held(str(tmp_path / "run")) == {PF}
        process.communicate()
    assert marker.held(str(tmp_path / "run")) == frozenset()
    assert list((tmp_path / "run").iterdir()) == []


def test_what_is_killed_prepares_no_more_and_the_next_one_may(tmp_path: Path) -> None:
    with preparing(tmp_path, PF) as process:
        process.kill()
        process.wait()
        assert (tmp_path / PF).exists()
        assert marker.held(str(tmp_path)) == frozenset()
        with marker.holding(str(tmp_path), PF):
            assert marker.held(str(tmp_path)) == {PF}


def test_two_cannot_prepare_one_pf_but_two_pfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marker, "_PATIENCE", 0.1)
    with preparing(tmp_path, PF):
        busy = f"{PF} is being prepared by another process: {tmp_path}/{PF} is locked"
        with pytest.raises(marker.BusyError, match=busy), marker.holding(str(tmp_path), PF):
            pass
        with marker.holding(str(tmp_path), OTHER):
            assert marker.held(str(tmp_path)) == {PF, OTHER}
        assert marker.held(str(tmp_path)) == {PF}


def test_files_that_nobody_locks_and_what_is_no_file_mean_nothing(tmp_path: Path) -> None:
    (tmp_path / PF).touch()
    (tmp_path / OTHER).symlink_to(tmp_path / PF)
    (tmp_path / "directory").mkdir()
    assert marker.held(str(tmp_path)) == frozenset()
    with preparing(tmp_path, PF):
        assert marker.held(str(tmp_path)) == {PF}  # and a link to it is not followed


def test_whoever_watches_the_directory_hears_when_it_is_locked(tmp_path: Path) -> None:
    async def story() -> None:
        with Inotify() as inotify:
            inotify.add_watch(tmp_path, Mask.CLOSE_WRITE)
            with marker.holding(str(tmp_path), PF):
                event = await asyncio.wait_for(inotify.get(), 5)
                assert str(event.name) == PF
                assert marker.held(str(tmp_path)) == {PF}

    asyncio.run(story())


def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no directory")
    with (
        pytest.raises(marker.BusyError, match="cannot be used: File exists"),
        marker.holding(str(tmp_path / "run"), PF),
    ):
        pass


def test_one_that_waits_has_the_file_as_soon_as_it_is_free(tmp_path: Path) -> None:
    with preparing(tmp_path, PF) as first:
        assert first.stdin is not None
        second = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path), PF],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        first.communicate()
        assert second.stdout is not None
        assert second.stdout.readline() == "held\n"
        wait_for(lambda: marker.held(str(tmp_path)) == {PF})
        second.communicate()

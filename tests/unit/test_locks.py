# SPDX-License-Identifier: Apache-2.0
"""Locks of single bytes: between processes, for as long as the process lives that holds one."""

import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sriov_cni.store import LockFile
from tests.unit.executable import REPOSITORY

HOLDER = """
import sys
from sriov_cni.store import LockFile
locks = LockFile(sys.argv[1])
print(locks.acquire(7, patience=0), flush=True)
for line in sys.stdin:
    locks.release(7)
    print("released", flush=True)
"""


@contextmanager
def holder(path: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds lock 7, and gives it back when it reads a line."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of a lock file to be."""
    return str(tmp_path / "lock")


def test_a_lock_is_held_by_one_process(path: str) -> None:
    with holder(path):
        assert not LockFile(path).acquire(7, patience=0)


def test_the_other_locks_of_the_file_are_free_meanwhile(path: str) -> None:
    with holder(path):
        assert LockFile(path).acquire(8, patience=0)


def test_a_released_lock_is_free(path: str) -> None:
    with holder(path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "released\n"
        assert LockFile(path).acquire(7, patience=0)


def test_a_lock_dies_with_the_process_that_holds_it(path: str) -> None:
    with holder(path) as process:
        process.kill()
        process.wait()
        assert LockFile(path).acquire(7, patience=0)


def test_who_waits_gets_the_lock_when_it_comes_free(path: str) -> None:
    with holder(path) as process:
        process.kill()
        assert LockFile(path).acquire(7, patience=10)


def test_who_waits_in_vain_is_told_when_patience_ends(path: str) -> None:
    with holder(path):
        start = time.monotonic()
        assert not LockFile(path).acquire(7, patience=0.1)
        assert 0.04 < time.monotonic() - start < 5


def test_a_lock_file_is_for_the_owner_alone(tmp_path: Path, path: str) -> None:
    LockFile(path)
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


def test_a_lock_file_that_is_a_symbolic_link_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "lock").symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        LockFile(path)


def test_a_lock_is_seen_held_without_being_taken(path: str) -> None:
    with holder(path) as process:
        assert LockFile(path).is_held(7)
        assert not LockFile(path).is_held(8)
        process.kill()
        process.wait()
        assert not LockFile(path).is_held(7)

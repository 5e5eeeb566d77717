# SPDX-License-Identifier: Apache-2.0
"""Doing something in another process: what comes back of it, and who waits for whom."""

import os
import signal
import time
from pathlib import Path

import pytest

from sriov_cni.cni.errors import CniError
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.modules import ModuleError
from sriov_node.preparation import apart
from tests.plugin import wait_for


def test_a_result_comes_back_after_all_that_was_told() -> None:
    heard: list[object] = []

    def task(tell: apart.Tell) -> int:
        tell("one")
        tell(("two", 2))
        return os.getpid()

    assert apart.run(task, heard.append, 10) != os.getpid()
    assert heard == ["one", ("two", 2)]


@pytest.mark.parametrize(
    "error",
    [
        KernelError(16, "enabling 3 VFs of 0000:3b:00.0", "said"),
        CniError(104, "the records cannot be read", "details"),
        ModuleError("loading module vhost-net: not found"),
        ValueError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_raised_there_is_raised_here(error: Exception) -> None:
    def task(tell: apart.Tell) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        apart.run(task, print, 10)
    assert str(caught.value) == str(error)


def test_one_that_is_killed_has_no_result() -> None:
    def task(tell: apart.Tell) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(apart.LeftError, match=r"^its process was killed$"):
        apart.run(task, print, 10)


def test_one_that_is_silent_is_left_to_itself_and_goes_on(tmp_path: Path) -> None:
    def task(tell: apart.Tell) -> None:
        tell("here")
        wait_for((tmp_path / "go").exists, 30)
        (tmp_path / "done").touch()

    heard: list[object] = []
    with pytest.raises(apart.LeftError, match=r"does not return for 0 s, and process \d+ waits"):
        apart.run(task, heard.append, 0.3)
    assert heard == ["here"]
    (tmp_path / "go").touch()
    wait_for((tmp_path / "done").exists, 30)
    os.wait()


def test_silence_is_counted_anew_whenever_something_is_told() -> None:
    def task(tell: apart.Tell) -> str:
        for number in range(10):
            tell(number)
            time.sleep(0.1)
        return "done"

    assert apart.run(task, [].append, 0.7) == "done"


def test_one_that_nobody_hears_any_more_ends_before_what_it_tells_of(tmp_path: Path) -> None:
    def task(tell: apart.Tell) -> None:
        wait_for((tmp_path / "go").exists, 30)
        tell("about to do it")
        (tmp_path / "done").touch()

    with pytest.raises(apart.LeftError):
        apart.run(task, print, 0.1)
    (tmp_path / "go").touch()
    os.wait()
    assert not (tmp_path / "done").exists()

# SPDX-License-Identifier: Apache-2.0
"""When scans are due: events of files, bursts of them, pokes, and the light pass in between."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sriov_cni.store import Directory
from sriov_node.inventory.events import Changes
from sriov_node.inventory.last_seen import FILE

RECORD = "0000:3b:02.0,pod-1,net1"


def nothing_changed() -> bool:
    return False


@asynccontextmanager
async def started(changes: Changes) -> AsyncIterator[Changes]:
    """Have changes watched, after the scan that is due at once."""
    async with changes:
        await asyncio.wait_for(anext(changes), 1)
        yield changes


async def comes(iterator: Changes, within: float = 5) -> bool:
    """Tell whether a scan becomes due."""
    try:
        await asyncio.wait_for(anext(iterator), within)
    except TimeoutError:
        return False
    return True


def check(path: str, act: Callable[[], object]) -> bool:
    """Tell whether something that is done makes a scan due."""

    async def checked() -> bool:
        async with started(Changes(path, nothing_changed)) as iterator:
            act()
            return await comes(iterator, 1.5)

    return asyncio.run(checked())


def test_a_record_that_is_written_makes_a_scan_due(tmp_path: Path) -> None:
    assert check(str(tmp_path), lambda: Directory(str(tmp_path), create=False).write(RECORD, b""))


def test_a_record_that_is_removed_makes_a_scan_due(tmp_path: Path) -> None:
    (tmp_path / RECORD).touch()
    assert check(str(tmp_path), (tmp_path / RECORD).unlink)


def test_a_record_that_is_renamed_makes_a_scan_due(tmp_path: Path) -> None:
    (tmp_path / RECORD).touch()
    assert check(str(tmp_path), lambda: (tmp_path / RECORD).rename(tmp_path / "returned,a,b"))


@pytest.mark.parametrize("name", ["lock", FILE])
def test_files_that_tell_of_no_attachment_make_no_scan_due(tmp_path: Path, name: str) -> None:
    write = lambda: Directory(str(tmp_path), create=False).write(name, b"")  # noqa: E731
    assert not check(str(tmp_path), write)


def test_a_directory_that_comes_later_is_watched(tmp_path: Path) -> None:
    async def checked() -> None:
        path = tmp_path / "lib" / "cni" / "sriov"
        async with started(Changes(str(path), nothing_changed)) as iterator:
            for part in (tmp_path / "lib", tmp_path / "lib" / "cni", path):
                part.mkdir()
                assert await comes(iterator)
            Directory(str(path), create=False).write(RECORD, b"")
            assert await comes(iterator)

    asyncio.run(checked())


def test_a_directory_made_at_once_with_its_parents_is_watched(tmp_path: Path) -> None:
    async def checked() -> None:
        path = tmp_path / "lib" / "cni" / "sriov"
        async with started(Changes(str(path), nothing_changed)) as iterator:
            path.mkdir(parents=True)
            assert await comes(iterator)
            (path / RECORD).touch()
            assert await comes(iterator)

    asyncio.run(checked())


def test_a_directory_that_is_replaced_is_watched_in_its_new_place(tmp_path: Path) -> None:
    async def checked() -> None:
        path = tmp_path / "sriov"
        path.mkdir()
        async with started(Changes(str(path), nothing_changed)) as iterator:
            for way in (lambda: path.rename(tmp_path / "old"), path.rmdir):
                way()
                assert await comes(iterator)
                path.mkdir()
                assert await comes(iterator)
                (path / "x").touch()
                assert await comes(iterator)
                (path / "x").unlink()
                assert await comes(iterator)
            (tmp_path / "old" / "y").touch()
            assert not await comes(iterator, 0.5)

    asyncio.run(checked())


def test_a_burst_makes_one_scan_due_when_it_ends(tmp_path: Path) -> None:
    async def checked() -> float:
        async with started(Changes(str(tmp_path), nothing_changed)) as iterator:
            task = asyncio.ensure_future(comes(iterator))
            for number in range(8):
                (tmp_path / f"{number}").touch()
                await asyncio.sleep(0.03)
                assert not task.done()
            last = time.monotonic()
            assert await task
            assert not await comes(iterator, 0.5)
            return time.monotonic() - last

    assert asyncio.run(checked()) < 1.5


def test_a_burst_without_end_makes_a_scan_due_after_a_second(tmp_path: Path) -> None:
    async def checked() -> float:
        changes = Changes(str(tmp_path), nothing_changed)
        async with started(changes) as iterator:
            start = time.monotonic()
            task = asyncio.ensure_future(comes(iterator))
            while not task.done() and time.monotonic() - start < 10:
                changes.poke()
                await asyncio.sleep(0.02)
            return time.monotonic() - start

    assert 0.9 < asyncio.run(checked()) < 5


def test_an_event_while_a_scan_is_at_work_makes_another_due(tmp_path: Path) -> None:
    async def checked() -> bool:
        changes = Changes(str(tmp_path), nothing_changed)
        async with started(changes) as iterator:
            changes.poke()
            return await comes(iterator) and not await comes(iterator, 0.3)

    assert asyncio.run(checked())


def test_a_light_pass_makes_a_scan_due_only_if_something_changed(tmp_path: Path) -> None:
    async def checked() -> list[bool]:
        answers = [False, False, True, False]
        asked: list[bool] = []

        def light() -> bool:
            asked.append(answers[len(asked)])
            return asked[-1]

        async with started(Changes(str(tmp_path), light, 0.1)) as iterator:
            assert await comes(iterator)
            return asked

    assert asyncio.run(checked()) == [False, False, True]


def test_nothing_stays_open_when_the_iteration_ends(tmp_path: Path) -> None:
    async def checked() -> None:
        gc.collect()  # of what other tests left
        before = len(os.listdir("/proc/self/fd"))
        async with started(Changes(str(tmp_path), nothing_changed)):
            assert len(os.listdir("/proc/self/fd")) > before
        assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(checked())

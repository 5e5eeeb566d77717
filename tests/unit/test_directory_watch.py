# SPDX-License-Identifier: Apache-2.0
"""Waiting for changes in a directory."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from sriov_node.directory_watch import changes


async def expect(changed: AsyncGenerator[None, None]) -> None:
    """Wait for a change; fail if none comes."""
    await asyncio.wait_for(anext(changed), 5)


async def expect_none(changed: AsyncGenerator[None, None]) -> None:
    """Take what has come already, and see that nothing follows."""
    pending = asyncio.ensure_future(anext(changed))
    while (await asyncio.wait([pending], timeout=0.1))[0]:
        pending = asyncio.ensure_future(anext(changed))
    pending.cancel()


def test_what_comes_goes_or_is_written_is_a_change(tmp_path: Path) -> None:
    async def check() -> None:
        file = tmp_path / "file"
        for change in (
            lambda: file.write_text("1"),
            lambda: file.write_text("2"),
            lambda: file.rename(tmp_path / "renamed"),
            lambda: (tmp_path / "renamed").unlink(),
            lambda: (tmp_path / "link").symlink_to("elsewhere"),
        ):
            changed = changes(str(tmp_path))
            await expect(changed)  # the first comes by itself
            change()
            await expect(changed)
            await expect_none(changed)

    asyncio.run(check())


def test_a_directory_that_comes_goes_and_comes_again(tmp_path: Path) -> None:
    async def check() -> None:
        directory = tmp_path / "not" / "yet"
        changed = changes(str(directory))
        await expect(changed)
        for _ in range(3):
            directory.mkdir(parents=True)
            await expect(changed)
            (directory / "file").touch()
            await expect(changed)
            (directory / "file").unlink()
            directory.rmdir()
            directory.parent.rmdir()
            await expect(changed)

    asyncio.run(check())


def test_what_happens_beside_a_missing_directory_is_no_change(tmp_path: Path) -> None:
    async def check() -> None:
        changed = changes(str(tmp_path / "missing"))
        await expect(changed)
        pending = asyncio.ensure_future(anext(changed))
        (tmp_path / "other").touch()
        done, _ = await asyncio.wait([pending], timeout=0.2)
        assert not done
        (tmp_path / "missing").mkdir()
        await asyncio.wait_for(pending, 5)

    asyncio.run(check())


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    async def look() -> None:
        changed = changes(str(tmp_path))
        await expect(changed)
        await changed.aclose()

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        asyncio.run(look())
    assert len(os.listdir("/proc/self/fd")) == before

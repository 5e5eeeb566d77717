# SPDX-License-Identifier: Apache-2.0
"""What appears in a directory and disappears from it, also before there is such a directory.

All directories on the way to it are watched as well: the kernel does not tell at once of the end of
a directory in which a process still has a socket (dentry_unlink_inode() in fs/dcache.c).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable

from asyncinotify import Inotify, Mask

_ENTRIES = (
    Mask.CREATE | Mask.CLOSE_WRITE | Mask.MOVED_TO | Mask.DELETE | Mask.MOVED_FROM | Mask.ONLYDIR
)


_log = logging.getLogger(__name__)


async def changes(directory: str) -> AsyncGenerator[None, None]:
    """Yield once at the beginning, and again after each change of a directory's entries.

    The path must be absolute. One yield may stand for many changes; the coming and going of the
    directory itself, or of those above it, is a change as well. Raises OSError where the kernel has
    no more watches to give.
    """
    while True:
        with Inotify() as inotify:
            ways = _watch(inotify, directory)
            yield
            async for event in inotify:
                way = ways.get(event.watch.wd) if event.watch is not None else None
                if way is None or (way and str(event.name) == way):
                    break  # another directory by now, or events were lost: begin anew
                if not way:
                    yield


async def follow(directory: str, changed: Callable[[], None], watched: asyncio.Event) -> None:
    """Call `changed` when a directory changes: a ConfigMap's files change by links beside them.

    `watched` is set when no change will be missed any more.
    """
    try:
        async for _ in changes(directory):
            if watched.is_set():
                changed()
            watched.set()
    except OSError as error:
        _log.error("%s cannot be watched, only SIGHUP reloads: %s", directory, error)
        watched.set()


def _watch(inotify: Inotify, directory: str) -> dict[int, str]:
    """Watch all directories from the root on that are there.

    Returns by each watch's number which of the entries leads on to the directory, empty for the
    directory itself.
    """
    ways: dict[int, str] = {}
    names = [name for name in directory.split("/") if name]
    for depth in range(len(names) + 1):
        path = "/" + "/".join(names[:depth])
        try:
            watch = inotify.add_watch(path, _ENTRIES)
        except (FileNotFoundError, NotADirectoryError):
            break  # the one above tells when it comes
        ways[watch.wd] = names[depth] if depth < len(names) else ""
    return ways

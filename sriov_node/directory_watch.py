# SPDX-License-Identifier: Apache-2.0
"""Waiting for changes in a directory (inotify(7)), whether the directory exists already or not."""

import os
from collections.abc import AsyncGenerator

from asyncinotify import Inotify, Mask

_IN_IT = (
    Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.CLOSE_WRITE | Mask.ATTRIB
)
_OF_ITSELF = Mask.DELETE_SELF | Mask.MOVE_SELF


async def changes(directory: str) -> AsyncGenerator[None, None]:
    """Yield at first, and then whenever something in a directory has come, gone or been written.

    So also when the directory itself comes or goes. Raises OSError where inotify cannot be used,
    as after too many instances of it (fs.inotify.max_user_instances).
    """
    while True:
        with Inotify() as inotify:
            watched = _nearest(directory)
            try:
                inotify.add_watch(watched, _IN_IT | _OF_ITSELF | Mask.ONLYDIR)
            except OSError:
                if os.path.isdir(watched):
                    raise
                continue  # it went meanwhile
            if _nearest(directory) != watched:
                continue  # it came meanwhile
            yield
            async for event in inotify:
                if event.mask & (_OF_ITSELF | Mask.IGNORED | Mask.Q_OVERFLOW):
                    break
                if watched == directory:
                    yield
                elif _nearest(directory) != watched:
                    break


def _nearest(directory: str) -> str:
    """Return the directory, or the nearest one above it that exists."""
    while not os.path.isdir(directory) and directory not in ("/", ""):
        directory = os.path.dirname(directory)
    return directory or "."

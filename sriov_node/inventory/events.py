# SPDX-License-Identifier: Apache-2.0
"""When to scan again: the kernel's events about devices, and changes in the plugin's directory.

Events only tell that something changed; what, a scan finds out. So none need be understood, and
lost ones cost a scan. Between events the process sleeps, but for one light pass a minute.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress

import pyudev
from asyncinotify import Inotify, Mask, Watch

from sriov_node.inventory import last_seen

_SUBSYSTEMS = ("pci", "net", "auxiliary", "infiniband", "vfio", "vdpa")
_VIRTUAL = "/devices/virtual/net/"
_BUFFER = 8 << 20  # bytes of the uevent socket; 256 VFs of a PF come with a thousand events
_QUIET, _LONGEST = 0.1, 1.0  # seconds: after the last event of a burst, and after its first
_HAPPENINGS = (
    Mask.CREATE
    | Mask.CLOSE_WRITE
    | Mask.MOVED_TO
    | Mask.MOVED_FROM
    | Mask.DELETE
    | Mask.DELETE_SELF
    | Mask.MOVE_SELF
    | Mask.ONLYDIR
)
_ENDS = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.IGNORED | Mask.UNMOUNT
_NO_NEWS = ("lock", last_seen.FILE)  # files whose changes are no attachment's
_log = logging.getLogger(__name__)


class Changes:
    """An asynchronous iterator that goes on at once, and then each time that a scan is due.

    `data_dir` is the plugin's state directory, which need not be there yet. `light` is asked every
    `light_every` seconds without an event whether something has changed all the same. A context
    manager, too, within which it iterates. Whatever cannot be watched costs a line in the log.

        async with Changes(data_dir, inventory.light) as changes:
            async for _ in changes:
                snapshot = inventory.scan()
    """

    def __init__(self, data_dir: str, light: Callable[[], bool], light_every: float = 60.0) -> None:
        self._light = light
        self._light_every = light_every
        self._begun = False
        self._due = asyncio.Event()
        self._first = self._last = 0.0  # times of a burst's events, in the loop's seconds
        self._uevents = _Uevents(self.poke)
        self._files = _Files(data_dir, self.poke)

    def poke(self) -> None:
        """Have a scan made soon, as if there had been an event."""
        self._last = asyncio.get_running_loop().time()
        if not self._due.is_set():
            self._first = self._last
            self._due.set()

    async def __aenter__(self) -> "Changes":
        self._uevents.open()
        self._files.open()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._uevents.close()
        self._files.close()

    def __aiter__(self) -> "Changes":
        return self

    async def __anext__(self) -> None:
        """Return when a scan is due."""
        if self._begun:
            await self._wait()
        self._begun = True

    async def _wait(self) -> None:
        while not self._due.is_set():
            # not wait_for(), of which Python 3.11's may lose a cancellation
            with suppress(TimeoutError):
                async with asyncio.timeout(self._light_every):
                    await self._due.wait()
            if not self._due.is_set() and self._light():
                return
        loop = asyncio.get_running_loop()
        while (end := min(self._last + _QUIET, self._first + _LONGEST)) > loop.time():
            await asyncio.sleep(end - loop.time())
        self._due.clear()


class _Uevents:
    """The kernel's uevents (Documentation/core-api/kobject.rst), without udev in between."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._monitor: pyudev.Monitor | None = None

    def open(self) -> None:
        try:
            self._monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
            for subsystem in _SUBSYSTEMS:
                self._monitor.filter_by(subsystem)
            with suppress(OSError):  # without CAP_NET_ADMIN it stays as it is
                self._monitor.set_receive_buffer_size(_BUFFER)
            self._monitor.start()
        except (OSError, ImportError) as error:
            self._monitor = None
            _log.error("no events from the kernel, so changes are seen late: %s", error)
        else:
            asyncio.get_running_loop().add_reader(self._monitor.fileno(), self._take)

    def close(self) -> None:
        if self._monitor is not None:
            asyncio.get_running_loop().remove_reader(self._monitor.fileno())
            self._monitor = None  # its last reference closes it

    def _take(self) -> None:
        monitor = self._monitor
        try:
            while monitor is not None and (device := monitor.poll(0)) is not None:
                if _matters(device):
                    self._notify()
        except OSError as error:  # events were lost (ENOBUFS), or the socket is of no use
            _log.info("events from the kernel were lost, devices are read anew: %s", error)
            self.close()
            self.open()
            self._notify()


def _matters(device: pyudev.Device) -> bool:
    """Tell whether an event may be about devices that pods could have.

    Each pod brings veth devices; those have no type. Devices that can sit on others have one.
    """
    try:
        virtual = device.subsystem == "net" and device.device_path.startswith(_VIRTUAL)
        return not virtual or device.device_type is not None
    except ValueError:  # a name that is not text
        return True


class _Files:
    """The plugin's state directory, or as long as that is missing the nearest one above it."""

    def __init__(self, data_dir: str, notify: Callable[[], None]) -> None:
        self._data_dir = os.path.abspath(data_dir)
        self._notify = notify
        self._inotify: Inotify | None = None
        self._watch: Watch | None = None

    def open(self) -> None:
        try:
            self._inotify = Inotify(sync_timeout=0)
            self._watch = self._nearest(self._inotify)
        except OSError as error:
            self.close()
            _log.error("%s cannot be watched: %s", self._data_dir, error)
        else:
            asyncio.get_running_loop().add_reader(self._inotify.fd, self._take)

    def close(self) -> None:
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = None

    def _nearest(self, inotify: Inotify) -> Watch:
        path, below = self._data_dir, ""
        while True:
            try:
                watch = inotify.add_watch(path, _HAPPENINGS)
            except (FileNotFoundError, NotADirectoryError):
                path, below = os.path.dirname(path), path
                continue
            if not below or not os.path.isdir(below):
                return watch
            path, below = self._data_dir, ""  # it was made meanwhile

    def _take(self) -> None:
        inotify = self._inotify
        while inotify is not None and (event := inotify.sync_get()) is not None:
            watched = event.watch
            if watched is not None and watched is not self._watch:
                continue  # of a directory that is of no interest any more
            name = str(event.name or "")
            if event.mask & _ENDS or watched is None or str(watched.path) != self._data_dir:
                self._look_again(inotify)
            elif name not in _NO_NEWS and not name.startswith(".new-"):
                self._notify()

    def _look_again(self, inotify: Inotify) -> None:
        before = self._watch
        self._watch = self._nearest(inotify)
        if self._watch is not before:
            if before is not None:
                with suppress(OSError):  # it ended by itself
                    inotify.rm_watch(before)
            self._notify()

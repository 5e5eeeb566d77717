# SPDX-License-Identifier: Apache-2.0
"""Kubelet knows our resources: their sockets are in its directory, and it is told of each.

At its start, kubelet deletes all sockets in the directory and then makes its own. While it runs, it
forgets a plugin as soon as the stream ends at which it follows the plugin's list.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import NamedTuple, Protocol

from grpclib.client import Channel

from sriov_node.directory_watch import changes
from sriov_node.kubelet.api import deviceplugin_pb2 as api
from sriov_node.kubelet.api.deviceplugin_grpc import RegistrationStub
from sriov_node.kubelet.calls import FAILURES, words
from sriov_node.kubelet.listener import Listener

_PATIENCE = 15.0  # seconds: kubelet calls back within Register, and takes up to 10 for that
_SHORTEST, _LONGEST = 0.05, 5.0  # seconds between attempts
_STEADY = 10.0  # seconds a registration lasts if nothing is wrong with it
_log = logging.getLogger(__name__)


class State(Enum):
    """How a resource stands with kubelet. Metrics and `sriovctl` use the values as they are."""

    WAITING = "waiting"  # for kubelet, or for its directory
    REGISTERED = "registered"
    FAILED = "failed"  # and tried again


class Endpoint(Protocol):
    """What a resource's service is to the registrar, which sets `when_left`."""

    listener: Listener
    socket_name: str
    when_left: Callable[[], None]

    @property
    def resource(self) -> str:
        """The resource's full name."""

    @property
    def watched(self) -> bool:
        """Whether kubelet follows the list."""

    @property
    def options(self) -> api.DevicePluginOptions:
        """What kubelet may ask for."""

    def expect_kubelet(self) -> None:
        """Take the next stream that follows the list for kubelet's."""


class _Entry:
    """An endpoint and how it stands: `kubelet` is the one it is registered with."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.wake = asyncio.Event()
        self.state = State.WAITING
        self.kubelet: _Identity | None = None
        self.since = 0.0  # time.monotonic() when kubelet was last called
        self.lost = False
        self.failure = ""
        endpoint.when_left = self.lose

    def lose(self) -> None:
        self.lost = True
        self.wake.set()


class Registrar:
    """Keeps endpoints' sockets in a directory of kubelet's, and them registered.

    Without `active`, the directory is plugins_registry: kubelet finds the sockets itself. To be
    used within a running event loop. `registrations` and `failures` are counted by resource.
    """

    def __init__(self, directory: str, *, active: bool = True) -> None:
        self._directory = directory
        self._socket = f"{directory}/kubelet.sock"
        self._active = active
        self._entries: dict[str, _Entry] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watch = asyncio.create_task(self._follow_directory())
        self.registrations: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def add(self, endpoint: Endpoint) -> None:
        """Keep an endpoint registered from now on."""
        entry = self._entries[endpoint.resource] = _Entry(endpoint)
        self._tasks[endpoint.resource] = asyncio.create_task(self._keep(entry))

    async def remove(self, resource: str) -> None:
        """Leave an endpoint alone from now on; what kubelet knows of it stays."""
        task = self._tasks.pop(resource)
        del self._entries[resource]
        await _ended(task)

    async def stop(self) -> None:
        """Leave all alone."""
        await _ended(self._watch)
        for resource in list(self._tasks):
            await self.remove(resource)

    def state(self, resource: str) -> State:
        """Return how a resource stands."""
        return self._entries[resource].state

    def registered(self, resource: str) -> bool:
        """Tell whether kubelet knows the resource and follows its list."""
        entry = self._entries.get(resource)
        return entry is not None and entry.state is State.REGISTERED and entry.endpoint.watched

    async def _follow_directory(self) -> None:
        while True:
            try:
                async for _ in changes(self._directory):
                    self._wake_all()
            except OSError as error:
                _log.error("%s cannot be watched, only polled: %s", self._directory, error)
            await asyncio.sleep(_LONGEST)
            self._wake_all()

    def _wake_all(self) -> None:
        for entry in self._entries.values():
            entry.wake.set()

    async def _keep(self, entry: _Entry) -> None:
        pause, previous = 0.0, None
        while True:
            entry.wake.clear()
            kubelet = _identity(self._socket)
            if kubelet != previous:
                pause, previous = 0.0, kubelet
            try:
                await self._attend(entry, kubelet)
            except FAILURES as error:
                self._note_failure(entry, words(error))
                pause = _longer(pause)
                await self._pause(entry, kubelet, pause)
                continue
            await self._wait(entry)
            if entry.lost:
                pause = 0.0 if time.monotonic() - entry.since > _STEADY else pause
                await self._pause(entry, kubelet, pause)
                pause = _longer(pause)

    async def _attend(self, entry: _Entry, kubelet: "_Identity | None") -> None:
        """Bring an endpoint to where it should be with the kubelet that there is now."""
        listener = entry.endpoint.listener
        # in plugins_registry, kubelet comes back to a plugin only if it finds another socket
        if not listener.in_place or (entry.lost and not self._active):
            try:
                await listener.place()
            except FileNotFoundError:  # kubelet makes its directory when it starts
                entry.state = State.WAITING
                return
            entry.since = time.monotonic()
        if not self._active:
            entry.state, entry.lost = State.REGISTERED, False
        elif kubelet is None:
            entry.state, entry.kubelet = State.WAITING, None
        elif entry.lost or entry.kubelet != kubelet:
            await self._register(entry)
            entry.state, entry.kubelet = State.REGISTERED, kubelet

    async def _register(self, entry: _Entry) -> None:
        endpoint = entry.endpoint
        entry.kubelet, entry.lost = None, False
        endpoint.expect_kubelet()
        request = api.RegisterRequest(
            version="v1beta1",
            endpoint=endpoint.socket_name,
            resource_name=endpoint.resource,
            options=endpoint.options,
        )
        channel = Channel(path=self._socket)
        try:
            async with asyncio.timeout(_PATIENCE):
                await RegistrationStub(channel).Register(request)
        finally:
            channel.close()
        entry.since = time.monotonic()
        self.registrations[endpoint.resource] += 1
        entry.failure = ""
        _log.info("%s: registered with kubelet", endpoint.resource)

    def _note_failure(self, entry: _Entry, why: str) -> None:
        resource = entry.endpoint.resource
        entry.state = State.FAILED
        self.failures[resource] += 1
        if why != entry.failure:  # once, not at each attempt
            _log.warning("%s: not registered with kubelet, will try again: %s", resource, why)
        entry.failure = why

    async def _wait(self, entry: _Entry) -> None:
        """Wait for something to do; a kubelet that does not come after Register is lost, too."""
        coming = self._active and entry.state is State.REGISTERED and not entry.endpoint.watched
        try:
            async with asyncio.timeout(_PATIENCE if coming else None):
                await entry.wake.wait()
        except TimeoutError:
            entry.lost = not entry.endpoint.watched

    async def _pause(self, entry: _Entry, kubelet: "_Identity | None", seconds: float) -> None:
        """Let some time pass, but not if there is another kubelet."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and _identity(self._socket) == kubelet:
            entry.wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await entry.wake.wait()


def _longer(pause: float) -> float:
    return min(max(2 * pause, _SHORTEST), _LONGEST)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class _Identity(NamedTuple):
    """A socket, told from another of the same name: numbers of files are used again."""

    device: int
    number: int
    changed: int


def _identity(path: str) -> _Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return _Identity(status.st_dev, status.st_ino, status.st_ctime_ns)

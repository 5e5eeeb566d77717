# SPDX-License-Identifier: Apache-2.0
"""The agent: what the node has, what the configuration says of it, and what kubelet is told.

One event loop. Whatever happens only tells that something changed; then everything is looked at
anew, and whoever follows a list gets what is different.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sriov_node import control, directory_watch, node_file, readiness
from sriov_node.device_plugin import cdi, device_info, sources
from sriov_node.device_plugin.assignment import Assignment, assign, summary
from sriov_node.device_plugin.configuration import Configuration
from sriov_node.device_plugin.endpoint import Endpoint, Files
from sriov_node.device_plugin.pool import Pool, filled, next_expiry
from sriov_node.drift import Drift
from sriov_node.inventory.device import Snapshot, State
from sriov_node.inventory.events import Changes
from sriov_node.inventory.scan import Inventory
from sriov_node.kubelet import listener, paths, pod_resources
from sriov_node.kubelet.holder import Holder
from sriov_node.kubelet.registration import Registrar
from sriov_node.metrics.service import Answers, Settings, serving
from sriov_node.metrics.view import View
from sriov_node.preparation import marker

_RECENT = 10.0  # seconds for which a scrape goes by what kubelet said of pods
_RETURN = 31.0  # seconds; a device on its way home counts as lost after 30
_log = logging.getLogger(__name__)


class Options(NamedTuple):
    """What the command line says.

    `config_dir` has the node's files. `watched` has kubelet find the sockets in plugins_registry by
    itself. `files` are the directories of what networks and containers are told. `metrics` says
    where these are served, and under which names. `ready_file` is made when kubelet knows all
    resources by this agent. `preparing` is where preparations tell which PFs they are at, `control`
    the operator's socket.
    """

    config_file: str = "/etc/pcidp/config.json"
    config_dir: str = node_file.DIRECTORY
    resource_prefix: str = "intel.com"
    data_dir: str = "/var/lib/cni/sriov"
    kubelet_dir: str = paths.KUBELET
    watched: bool = False
    files: Files = Files()
    metrics: Settings = Settings()
    ready_file: str | None = None
    preparing: str = marker.DIRECTORY
    control: str = control.SOCKET


class Agent:
    """Serves this node's resources to kubelet, until it is cancelled."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._directory = paths.sockets(options.kubelet_dir, watched=options.watched)
        self._inventory = Inventory(options.data_dir)
        self._changes = Changes(options.data_dir, self._inventory.light)
        self._endpoints: dict[str, Endpoint] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self._looking = asyncio.Lock()
        self._is_read = False  # the configuration, as it is now
        self._is_asked = False  # kubelet, for what pods have
        self._asked_at = 0.0  # time.monotonic() when it last was
        self._is_told = False  # kubelet, of what there is
        self._is_cluttered = False  # with files of resources that are no more
        self._said: dict[str, Mapping[str, str]] = {}  # what the log has about a resource
        self.configuration = Configuration()
        self.snapshot = Snapshot()
        self.assignment = Assignment({}, {}, {})
        self.holders: Mapping[str, Holder] = {}
        self.pools: dict[str, Pool] = {}
        self.scan_seconds = 0.0
        places = ("--config-dir", options.config_dir, "--data-dir", options.data_dir)
        self._drift = Drift(
            options.config_dir,
            options.preparing,
            (*places, "--kubelet-dir", options.kubelet_dir),
            self._changes.poke,
        )

    async def run(self) -> None:
        """Serve; cancelled, it says nothing to kubelet: there may be a successor already."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_note_connection)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        listener.clear(self._directory)
        self.registrar = Registrar(self._directory, active=not self._options.watched)
        following = await self._follow_directories()
        readying = asyncio.create_task(self._become_ready())
        answers = Answers(self.view, self._current_view)
        try:
            with serving(self._options.metrics, answers) as self._note_allocate:
                requests = {control.RESCAN: self._rescan, control.RELOAD: self._reload_now}
                async with (
                    control.serving(self._options.control, requests),
                    self._changes as changes,
                ):
                    async for _ in changes:
                        await self._look()
                        readiness.tell_systemd()
        finally:
            for task in following:
                task.cancel()
            readying.cancel()
            await self.registrar.stop()
            for endpoint in self._endpoints.values():
                await endpoint.stop(remove=False)

    async def _rescan(self) -> dict[str, Any]:
        """Look at everything at an operator's request; return what there is then."""
        await self._look()
        return {
            "resources": {name: len(pool.offers) for name, pool in self.pools.items()},
            "faults": [str(fault) for fault in self.configuration.faults],
        }

    async def _reload_now(self) -> dict[str, Any]:
        self._is_read = False
        return await self._rescan()

    async def _become_ready(self) -> None:
        if self._options.ready_file is not None:
            await readiness.make_file(
                self._options.ready_file,
                lambda: self._is_told and all(map(self.registrar.registered, self.pools)),
            )

    async def view(self) -> View:
        """Return what is known now."""
        return View(
            scanned=self._is_told,
            snapshot=self.snapshot,
            pools=tuple(self.pools.values()),
            holders=self.holders,
            registered={name: self.registrar.registered(name) for name in self.pools},
            registrations=dict(self.registrar.registrations),
            failures=dict(self.registrar.failures),
            faults=self.configuration.faults,
            scan_seconds=self.scan_seconds,
            in_desired_state=self._drift.reached,
        )

    async def _current_view(self) -> View:
        """Return what is known, of pods as well."""
        if time.monotonic() - self._asked_at > _RECENT and await self._ask_kubelet():
            self._changes.poke()  # a pod's device is announced as it is, whatever changes
        return await self.view()

    def reload(self) -> None:
        """Read the configuration and all devices anew, soon."""
        self._is_read = False
        self._changes.poke()

    async def _follow_directories(self) -> list[asyncio.Task[None]]:
        """Watch what the agent goes by; returns when no change will be missed any more."""
        node_files, own = self._options.config_dir, os.path.abspath(self._options.config_file)
        reread = (os.path.dirname(own), node_files, f"{node_files}/{node_file.MORE}")
        actions = dict.fromkeys(map(os.path.abspath, reread), self.reload)
        actions[self._options.preparing] = self._changes.poke
        watched = {directory: asyncio.Event() for directory in actions}
        tasks = [
            asyncio.create_task(directory_watch.follow(directory, action, watched[directory]))
            for directory, action in actions.items()
        ]
        for event in watched.values():
            await event.wait()
        return tasks

    async def _look(self) -> None:
        """Look at everything, and tell kubelet; whatever goes wrong, what was told stays."""
        async with self._looking:  # an operator may ask for it, too
            await self._look_at_all()

    async def _look_at_all(self) -> None:
        try:
            if not self._is_read:
                self._read_configuration()
            began = time.monotonic()
            self.snapshot = self._inventory.scan()
            self.scan_seconds = time.monotonic() - began
            if not self._is_asked:  # kubelet may know already what pods have
                await self._ask_kubelet()
            await self._tell()
            self._is_told = True
            if await self._ask_kubelet():
                await self._tell()
            self._drift.look(self.snapshot, self.holders)
        except Exception:  # a bug: better yesterday's devices than none
            _log.exception("devices stay announced as they are")

    def _read_configuration(self) -> None:
        self._is_read = self._is_cluttered = True
        self._drift.read()
        read = sources.read_all(
            self._options.config_file, self._options.config_dir, self._options.resource_prefix
        )
        before = self.configuration
        for fault in read.faults if read.faults != before.faults else ():
            _log.error("%s", fault)
        for warning in read.warnings if read.warnings != before.warnings else ():
            _log.warning("%s", warning)
        self.configuration = sources.without_regress(before, read)

    async def _ask_kubelet(self) -> bool:
        """Ask who has which device; tell whether that changed."""
        self._asked_at = time.monotonic()
        holders = await pod_resources.holders(paths.pod_resources(self._options.kubelet_dir))
        if holders is None or holders == self.holders:
            return False
        self._is_asked, self.holders = True, holders
        return True

    async def _tell(self) -> None:
        """Have kubelet told what there is now."""
        held = {device: holder.resource for device, holder in self.holders.items()}
        resources, devices = self.configuration.resources, self.snapshot.devices
        self.assignment = assign(resources, devices.values(), held)
        now = time.monotonic()
        preparing = marker.held(self._options.preparing)
        self.pools = {
            each.name: filled(
                each,
                self.assignment.taken[each.name],
                devices,
                held,
                self.pools.get(each.name),
                now,
                preparing,
            )
            for each in resources
        }
        await self._serve()
        self._say()
        self._look_again_at(now)

    async def _serve(self) -> None:
        for name in self._endpoints.keys() - self.pools.keys():
            _log.info("%s: no longer served", name)
            await self.registrar.remove(name)
            await self._endpoints.pop(name).stop(remove=True)
            self._said.pop(name, None)
        for name, pool in self.pools.items():
            if name in self._endpoints:
                self._endpoints[name].update(pool)
            else:
                endpoint = self._endpoints[name] = Endpoint(
                    pool, self._directory, self._options.files, self._note_allocate
                )
                endpoint.when_refused = self._changes.poke
                await endpoint.start()
                self.registrar.add(endpoint)
        if self._is_cluttered:
            self._is_cluttered = False
            _clean(self._options.files, self.pools.values())

    def _say(self) -> None:
        """Write a line about each resource that has other devices now, or in another state."""
        for name, pool in self.pools.items():
            reasons = {device: offer.reason for device, offer in pool.offers.items()}
            if self._said.get(name) != reasons:
                unhealthy = "".join(f"; {device} {why}" for device, why in reasons.items() if why)
                _log.info("%s%s", summary(self.assignment, name), unhealthy)
                self._said[name] = reasons
        if _log.isEnabledFor(logging.DEBUG):
            for device, reason in self.assignment.refused.items():
                _log.debug("%s is offered by no resource: %s", device, reason)

    def _look_again_at(self, now: float) -> None:
        """Look again when time alone changes something."""
        if self._expiry is not None:
            self._expiry.cancel()
        expiry = next_expiry(self.pools.values())
        times = [expiry] if expiry is not None else []
        if any(d.use.state is State.RETURNING for d in self.snapshot.devices.values()):
            times.append(now + _RETURN)
        if times:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(max(min(times) - now, 0), self._changes.poke)


def _clean(files: Files, pools: Collection[Pool]) -> None:
    """Remove what earlier agents wrote about devices that are nobody's now."""
    try:
        device_info.clean(files.device_info, pools)
        if files.cdi is not None:
            cdi.clean(files.cdi, pools)
    except OSError as error:
        _log.error("a file about devices of an earlier resource stays: %s", error)


def _note_connection(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Write what asyncio would print: callers that break HTTP/2 end up here."""
    _log.debug("%s: %r", context.get("message"), context.get("exception"))

# SPDX-License-Identifier: Apache-2.0
"""Kubelet knows the resources, whatever happens to it, to its directory, or to the agent."""

import asyncio
import gc
import os
import select
import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from grpclib.client import Channel

from sriov_node.device_plugin.endpoint import Endpoint, Files
from sriov_node.device_plugin.pool import Pool
from sriov_node.device_plugin.resource import Allocation
from sriov_node.kubelet import listener, paths, registration
from sriov_node.kubelet.api.pluginregistration_grpc import RegistrationStub as DiscoveryStub
from sriov_node.kubelet.api.pluginregistration_pb2 import InfoRequest
from sriov_node.kubelet.discovery import Discovery
from sriov_node.kubelet.listener import Listener
from sriov_node.kubelet.registration import Registrar, State
from tests.functions import RESOURCE, Machine, pool, vf
from tests.kubelet import AdmissionError, Kubelet, until

NAME = RESOURCE.name
OTHER = RESOURCE._replace(name="intel.com/other")


class Agent:
    """The part of an agent that speaks to kubelet."""

    def __init__(self, kubelet: Kubelet, tmp_path: Path, *, watcher: bool = False) -> None:
        self.directory = kubelet.registry if watcher else kubelet.plugins
        self.registrar = Registrar(self.directory, active=not watcher)
        self.files = Files(f"{tmp_path}/devinfo", None, str(tmp_path))
        self.endpoints: list[Endpoint] = []

    async def serve(self, offered: Pool) -> Endpoint:
        endpoint = Endpoint(offered, self.directory, self.files)
        await endpoint.start()
        self.registrar.add(endpoint)
        self.endpoints.append(endpoint)
        return endpoint

    async def stop(self) -> None:
        """End as the process does."""
        await self.registrar.stop()
        for endpoint in self.endpoints:
            await endpoint.stop(remove=False)


@asynccontextmanager
async def node(
    tmp_path: Path, *, started: bool = True, watcher: bool = False, older: bool = False
) -> AsyncIterator[tuple[Kubelet, Agent]]:
    machine = Machine(tmp_path)
    for index in range(4):
        machine.add(vf(index))
    with TemporaryDirectory() as directory:  # whose name is shorter: a socket's path has a limit
        kubelet = Kubelet(directory, older=older)
        if started:
            await kubelet.start()
        agent = Agent(kubelet, tmp_path, watcher=watcher)
        try:
            yield kubelet, agent
        finally:
            await agent.stop()
            await kubelet.stop()


@contextmanager
def at_once() -> Iterator[None]:
    """Within a second: soon, on a loaded machine as well."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 1.0


def healthy(kubelet: Kubelet, name: str = NAME) -> bool:
    return bool(kubelet.free(name))


def test_a_resource_is_registered_and_given_away(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            assert not agent.registrar.registered(NAME)
            await agent.serve(pool(vf(0), vf(1)))
            await until(lambda: healthy(kubelet))
            assert agent.registrar.registered(NAME)
            given = await kubelet.allocate(NAME)
            assert given.answer.envs["PCIDEVICE_INTEL_COM_SRIOV_NET"] == given.ids[0]
            await kubelet.allocate(NAME)
            with pytest.raises(AdmissionError):
                await kubelet.allocate(NAME)
            kubelet.release(given)
            assert (await kubelet.allocate(NAME)).ids == given.ids

    asyncio.run(story())


def test_an_empty_resource_is_registered_and_its_first_device_is_one_message(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            endpoint = await agent.serve(pool())
            await until(lambda: agent.registrar.registered(NAME))
            endpoint.update(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            assert kubelet.registrations[NAME] == 1

    asyncio.run(story())


def test_an_agent_that_is_there_before_kubelets_directory_registers_when_kubelet_starts(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with node(tmp_path, started=False) as (kubelet, agent):
            await agent.serve(pool(vf(0)))
            await asyncio.sleep(0.05)
            assert agent.registrar.state(NAME) is State.WAITING
            await kubelet.start()
            with at_once():
                await until(lambda: healthy(kubelet))

    asyncio.run(story())


def test_sockets_are_there_before_kubelet_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path, started=False) as (kubelet, agent):
            await agent.serve(pool(vf(0)))
            os.makedirs(kubelet.plugins)
            await until(lambda: bool(os.listdir(kubelet.plugins)))
            assert agent.registrar.failures[NAME] == 0

    asyncio.run(story())


@pytest.mark.parametrize("killed", [True, False])
def test_all_resources_are_back_soon_after_kubelet_is(tmp_path: Path, *, killed: bool) -> None:
    names = [f"intel.com/net{i}" for i in range(10)]

    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            for name in names:
                await agent.serve(pool(vf(0), resource=RESOURCE._replace(name=name)))
            for restart in range(1, 6):
                await until(lambda: all(healthy(kubelet, name) for name in names))
                assert all(kubelet.registrations[name] == restart for name in names)
                await kubelet.stop(killed=killed)
                await asyncio.sleep(0.02 * restart)
                assert not any(agent.registrar.registered(name) for name in names)
                await kubelet.start()
                with at_once():
                    await until(lambda: all(healthy(kubelet, name) for name in names))

    asyncio.run(story())


def test_kubelet_may_stay_away_for_long(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            await agent.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            await kubelet.stop(killed=True)
            await asyncio.sleep(1.7)  # the next attempt is 1.4 s away
            assert 2 < agent.registrar.failures[NAME] < 8
            await kubelet.start()
            with at_once():
                await until(lambda: healthy(kubelet))

    asyncio.run(story())


def test_kubelets_whole_directory_may_go_and_come(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            await agent.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            await kubelet.stop()
            shutil.rmtree(kubelet.directory)
            await asyncio.sleep(0.05)
            await kubelet.start()
            with at_once():
                await until(lambda: healthy(kubelet))

    asyncio.run(story())


def test_a_refused_registration_is_tried_again_and_others_do_not_wait(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            kubelet.refusal = "not now"
            await agent.serve(pool(vf(0)))
            await until(lambda: agent.registrar.failures[NAME] >= 2)
            assert agent.registrar.state(NAME) is State.FAILED
            kubelet.refusal = ""
            await agent.serve(pool(vf(1), resource=OTHER))
            await until(lambda: healthy(kubelet, OTHER.name))
            await until(lambda: healthy(kubelet))
            assert agent.registrar.registrations == {NAME: 1, OTHER.name: 1}

    asyncio.run(story())


def test_a_stream_that_ends_is_followed_by_a_registration_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            await agent.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            kubelet.hang_up(NAME)
            with at_once():
                await until(lambda: kubelet.registrations[NAME] == 2 and healthy(kubelet))

    asyncio.run(story())


def test_a_stream_that_keeps_ending_is_not_followed_by_a_flood(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            await agent.serve(pool(vf(0)))
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                kubelet.hang_up(NAME)
                await asyncio.sleep(0.005)
            assert 2 < kubelet.registrations[NAME] < 10

    asyncio.run(story())


def test_kubelet_keeps_the_list_from_an_agent_to_its_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, old):
            await old.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            monkeypatch.setattr(paths, "_INSTANCE", "another")
            new = Agent(kubelet, tmp_path)
            await new.serve(pool(vf(0), vf(1)))
            await until(lambda: len(kubelet.free(NAME)) == 2)
            await old.stop()
            for _ in range(20):
                await asyncio.sleep(0.005)
                assert len(kubelet.free(NAME)) == 2
            assert kubelet.registrations[NAME] == 2
            assert len([n for n in os.listdir(kubelet.plugins) if n.startswith("sriov-")]) == 1
            assert os.listdir(tmp_path / "devinfo")
            await kubelet.restart()
            await until(lambda: len(kubelet.free(NAME)) == 2)
            await new.stop()

    asyncio.run(story())


def test_a_kubelet_that_disconnects_the_successor_gets_it_back_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with node(tmp_path, older=True) as (kubelet, old):
            await old.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            monkeypatch.setattr(paths, "_INSTANCE", "another")
            new = Agent(kubelet, tmp_path)
            await new.serve(pool(vf(0), vf(1)))
            await until(lambda: len(kubelet.free(NAME)) == 2)
            await old.stop()
            await until(lambda: kubelet.registrations[NAME] == 3)
            with at_once():
                await until(lambda: len(kubelet.free(NAME)) == 2)
            assert old.registrar.registrations[NAME] == 1
            await new.stop()

    asyncio.run(story())


def test_the_socket_of_a_killed_agent_is_removed_and_no_other(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            await agent.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            for name in ("sriov-killed-1.sock", ".sriov-killed-2", "others.sock"):
                with socket.socket(socket.AF_UNIX) as left:
                    left.bind(f"{kubelet.plugins}/{name}")
            before = set(os.listdir(kubelet.plugins))
            listener.clear(kubelet.plugins)
            gone = before - set(os.listdir(kubelet.plugins))
            assert gone == {"sriov-killed-1.sock", ".sriov-killed-2"}
            assert healthy(kubelet)

    asyncio.run(story())


def test_kubelet_learns_that_there_is_a_preference_now(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            endpoint = await agent.serve(pool(vf(0), vf(1)))
            await until(lambda: healthy(kubelet))
            resource = RESOURCE._replace(allocation=Allocation.PACKED)
            endpoint.update(pool(vf(1), vf(0), resource=resource))
            await until(lambda: kubelet.registrations[NAME] == 2 and healthy(kubelet))
            assert kubelet.options(NAME).get_preferred_allocation_available

    asyncio.run(story())


def test_who_comes_while_a_socket_is_replaced_is_served(tmp_path: Path) -> None:
    async def story() -> None:
        path = f"{tmp_path}/a.sock"
        listener = Listener(path, [Discovery(NAME, path)])
        await listener.place()
        for _ in range(100):
            channel = Channel(path=path)
            asking = DiscoveryStub(channel).GetInfo(InfoRequest(), timeout=5)
            asked = asyncio.create_task(asking)
            await asyncio.sleep(0)
            await listener.place()
            assert (await asked).name == NAME
            channel.close()
        await listener.close()

    asyncio.run(story())


def test_a_kubelet_that_ends_with_callers_in_its_queue_is_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path, started=False) as (kubelet, agent):
            os.makedirs(kubelet.plugins)
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(kubelet.socket)
                listening.listen()
                await agent.serve(pool(vf(0)))
                await until(lambda: bool(select.select([listening], [], [], 0)[0]))
            await until(lambda: agent.registrar.failures[NAME] >= 2)
            await kubelet.restart()
            await until(lambda: healthy(kubelet))

    asyncio.run(story())


def test_at_no_moment_is_there_nobody_behind_the_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            path = (await agent.serve(pool(vf(0)))).listener.path
            done = asyncio.Event()

            async def knock() -> int:
                knocks = 0
                while not done.is_set():
                    _, writer = await asyncio.open_unix_connection(path)
                    writer.close()
                    knocks += 1
                return knocks

            knocking = asyncio.create_task(knock())
            for _ in range(50):
                successor = Listener(path, [])
                await successor.place()
                await asyncio.sleep(0.002)
            done.set()
            assert await knocking > 50
            assert kubelet.registrations[NAME] <= 1

    asyncio.run(story())


def test_a_socket_that_somebody_removed_is_put_back_and_kubelets_stream_goes_on(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            endpoint = await agent.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            os.unlink(endpoint.listener.path)
            await until(lambda: os.path.exists(endpoint.listener.path))
            endpoint.update(pool(vf(0), vf(1)))
            await until(lambda: len(kubelet.free(NAME)) == 2)
            assert kubelet.registrations[NAME] == 1

    asyncio.run(story())


def test_a_removed_resource_is_left_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            endpoint = await agent.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            await agent.registrar.remove(NAME)
            await endpoint.stop(remove=True)
            await until(lambda: not healthy(kubelet))
            await kubelet.restart()
            await asyncio.sleep(0.1)
            assert kubelet.resources() == []

    asyncio.run(story())


def test_a_new_resource_may_be_served_under_the_same_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            endpoint = await agent.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            await agent.registrar.remove(NAME)
            await endpoint.stop(remove=True)
            await agent.serve(pool(vf(0), vf(1)))
            await until(lambda: len(kubelet.free(NAME)) == 2)

    asyncio.run(story())


def test_a_plugin_that_kubelet_finds_itself_registers_nowhere(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path, watcher=True) as (kubelet, agent):
            endpoint = await agent.serve(pool(vf(0)))
            await kubelet.discover()
            await until(lambda: healthy(kubelet))
            await until(lambda: agent.registrar.registered(NAME))
            os.unlink(endpoint.listener.path)
            await until(lambda: os.path.exists(endpoint.listener.path))
            await kubelet.restart()
            await kubelet.discover()
            await until(lambda: healthy(kubelet))
            await until(lambda: agent.registrar.registered(NAME))
            assert not agent.registrar.registrations

    asyncio.run(story())


def test_a_kubelet_that_finds_plugins_itself_comes_back_when_it_has_lost_one(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with node(tmp_path, watcher=True) as (kubelet, agent):
            endpoint = await agent.serve(pool(vf(0)))
            for _ in range(3):
                await kubelet.discover()
                await until(lambda: healthy(kubelet))
                kubelet.hang_up(NAME)
                await until(lambda: not healthy(kubelet) and not endpoint.watched)
                await asyncio.sleep(0.25)  # longer than the pauses so far

    asyncio.run(story())


def test_a_kubelet_that_registers_but_does_not_come_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stay_away(*_: str) -> None:
        pass

    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            with monkeypatch.context() as patched:
                patched.setattr(registration, "_PATIENCE", 0.05)
                patched.setattr(kubelet, "connect", stay_away)
                await agent.serve(pool(vf(0)))
                await until(lambda: agent.registrar.registrations[NAME] == 3)
                assert not agent.registrar.registered(NAME)
            await until(lambda: agent.registrar.registered(NAME))

    asyncio.run(story())


def test_hundreds_of_reconnects_leave_nothing_behind(tmp_path: Path) -> None:
    def held() -> tuple[int, int]:
        gc.collect()  # what earlier tests left
        return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())

    async def story() -> None:
        async with node(tmp_path) as (kubelet, agent):
            await agent.serve(pool(vf(0)))
            await until(lambda: healthy(kubelet))
            await asyncio.sleep(0.1)
            before = held()
            for _ in range(150):
                await kubelet.restart()
                await until(lambda: healthy(kubelet))
            await until(lambda: held() == before)

    asyncio.run(story())

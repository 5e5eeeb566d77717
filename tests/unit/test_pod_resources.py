# SPDX-License-Identifier: Apache-2.0
"""Which container has which device, as kubelet tells it; and a kubelet that does not."""

import asyncio
from pathlib import Path

import pytest

from sriov_node.kubelet import pod_resources
from sriov_node.kubelet.api.deviceplugin_pb2 import ContainerAllocateResponse
from sriov_node.kubelet.holder import Holder
from sriov_node.kubelet.paths import pod_resources as pod_resources_socket
from sriov_node.kubelet.pod_resources import holders
from tests.kubelet import Allocated, Kubelet


def test_each_device_has_its_holder(tmp_path: Path) -> None:
    async def story() -> None:
        kubelet = Kubelet(tmp_path)
        await kubelet.start()
        empty = ContainerAllocateResponse()
        kubelet.running.append(Allocated("a", "intel.com/x", ("0000:01:10.0", "b"), empty))
        kubelet.running.append(Allocated("c", "intel.com/y", ("d",), empty))
        assert await holders(pod_resources_socket(str(tmp_path))) == {
            "0000:01:10.0": Holder("default", "a", "main", "intel.com/x"),
            "b": Holder("default", "a", "main", "intel.com/x"),
            "d": Holder("default", "c", "main", "intel.com/y"),
        }
        await kubelet.stop()

    asyncio.run(story())


def test_a_kubelet_without_pods_answers_with_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        kubelet = Kubelet(tmp_path)
        await kubelet.start()
        assert await holders(pod_resources_socket(str(tmp_path))) == {}
        await kubelet.stop()

    asyncio.run(story())


def test_without_a_socket_nobody_can_be_asked(tmp_path: Path) -> None:
    assert asyncio.run(holders(f"{tmp_path}/kubelet.sock")) is None


def test_a_socket_nobody_listens_at_cannot_be_asked(tmp_path: Path) -> None:
    (tmp_path / "kubelet.sock").touch()
    assert asyncio.run(holders(f"{tmp_path}/kubelet.sock")) is None


def test_a_kubelet_that_does_not_answer_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_resources, "PATIENCE", 0.05)

    async def story() -> None:
        server = await asyncio.start_unix_server(lambda *_: None, f"{tmp_path}/kubelet.sock")
        assert await holders(f"{tmp_path}/kubelet.sock") is None
        server.close()

    asyncio.run(story())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, b""])
def test_an_answer_that_is_none_counts_as_no_answer(tmp_path: Path, answer: bytes) -> None:
    async def reply(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async def story() -> None:
        server = await asyncio.start_unix_server(reply, f"{tmp_path}/kubelet.sock")
        assert await holders(f"{tmp_path}/kubelet.sock") is None
        server.close()

    asyncio.run(story())

# SPDX-License-Identifier: Apache-2.0
"""The server of metrics and probes: real connections, and an event loop that turns or does not."""

import asyncio
import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from sriov_node.fields import Fault
from sriov_node.metrics import server, service
from sriov_node.metrics.server import Address, Questions, Server
from sriov_node.metrics.service import Answers, Settings
from sriov_node.metrics.view import View

READY = View(scanned=True)
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


class Answer(NamedTuple):
    status: int
    kind: str
    text: str


class Some(Collector):
    """A collector whose metric has as many samples as wanted, or that fails."""

    def __init__(self, count: int = 1, failure: Exception | None = None) -> None:
        self._count, self._failure = count, failure

    def describe(self) -> list[Metric]:
        return [GaugeMetricFamily("some", "Some.")]

    def collect(self) -> Iterator[Metric]:
        if self._failure is not None:
            raise self._failure
        family = GaugeMetricFamily("some", "Some.", labels=("n",))
        for number in range(self._count):
            family.add_metric([f"{number:0100}"], number)
        yield family


def get(port: int, path: str, accept: str = "", method: str = "GET") -> Answer:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, headers={"Accept": accept} if accept else {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers["Content-Type"], answer.read().decode())


def wait_for_port(served: Server) -> int:
    end = time.monotonic() + 5
    while served.port is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    return served.port


@contextmanager
def serving(
    collector: Collector | None = None,
    view: View = READY,
    *,
    port: int = 0,
    only_text: bool = False,
) -> Iterator[Server]:
    registry = CollectorRegistry()
    registry.register(collector or Some())
    questions = Questions(lambda: None, lambda: view)
    served = Server(Address("127.0.0.1", port), questions, registry, only_text=only_text)
    served.start()
    try:
        yield served
    finally:
        served.stop()


def test_probes_are_answered_again_and_again() -> None:
    with serving() as served:
        port = wait_for_port(served)
        for _ in range(3):
            for path in ("/healthz", "/readyz"):
                assert get(port, path) == (200, "text/plain; charset=utf-8", "ok\n")
            assert get(port, "/nothing").status == 404
            assert get(port, "/").text == "not found\n"


def test_what_is_missing_is_told() -> None:
    fault = Fault("x/y", "vendors", '"\udcff"', "a list")
    with serving(view=READY._replace(faults=(fault,))) as served:
        answer = get(wait_for_port(served), "/readyz")
    assert answer.status == 503
    assert answer.text == 'x/y: vendors is "\\udcff", it must be a list\n'


def test_metrics_come_in_the_format_that_is_asked_for() -> None:
    with serving() as served:
        port = wait_for_port(served)
        text, openmetrics = get(port, "/metrics"), get(port, "/metrics", OPENMETRICS)
    assert text.kind.startswith("text/plain; version=0.0.4")
    assert [family.name for family in parse_text(text.text)] == ["some"]
    assert openmetrics.kind.startswith("application/openmetrics-text; version=1.0.0")
    parse: Any = parse_openmetrics
    assert [family.name for family in parse(openmetrics.text)] == ["some"]


def test_with_names_that_openmetrics_has_no_room_for_there_is_text_only() -> None:
    with serving(only_text=True) as served:
        answer = get(wait_for_port(served), "/metrics", OPENMETRICS)
    assert answer.kind.startswith("text/plain; version=0.0.4")


def test_metrics_can_only_be_got() -> None:
    with serving() as served:
        assert get(wait_for_port(served), "/metrics", method="POST").status == 405


def test_a_failure_is_one_scrape_s(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Some(failure=RuntimeError("broken"))) as served:
        port = wait_for_port(served)
        answer = get(port, "/metrics")
        assert get(port, "/healthz").status == 200
    assert (answer.status, answer.text) == (500, "failed; the agent's log says why\n")
    assert "/metrics cannot be answered" in caplog.text


def test_a_port_in_use_is_taken_when_it_becomes_free(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "_RETRY", 0.02)
    with serving() as first:
        port = wait_for_port(first)
        with serving(port=port) as second:
            time.sleep(0.2)
            assert second.port is None
            first.stop()
            assert wait_for_port(second) == port
            assert get(port, "/healthz").status == 200
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(said) == 1
    assert f"no metrics at 127.0.0.1:{port}, will try again" in said[0]


def test_a_server_that_never_got_its_port_can_be_stopped() -> None:
    with serving() as first, serving(port=wait_for_port(first)) as second:
        began = time.monotonic()
        second.stop()
        assert time.monotonic() - began < 0.5


def test_a_stopped_server_has_left_its_port() -> None:
    with serving() as served:
        port = wait_for_port(served)
    with closing(socket.create_server(("127.0.0.1", port))):
        pass


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def test_clients_that_say_nothing_are_few_and_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 1.0)
    with serving() as served, ExitStack() as stack:
        port = wait_for_port(served)
        threads = threading.active_count()
        silent = [stack.enter_context(connect(port)) for _ in range(20)]
        began = time.monotonic()
        assert [client.recv(1) for client in silent[8:]] == [b""] * 12  # turned away at once
        assert time.monotonic() - began < 0.9
        assert threading.active_count() <= threads + 8
        assert [client.recv(1) for client in silent[:8]] == [b""] * 8
        assert time.monotonic() - began < 3
        assert get(port, "/healthz").status == 200
        while threading.active_count() > threads:  # theirs end a moment after
            assert time.monotonic() - began < 5
            time.sleep(0.01)


def test_a_client_that_says_little_by_little_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 0.3)
    refused = pytest.raises(OSError, match=r"Broken pipe|reset")
    with serving() as served, connect(wait_for_port(served)) as client, refused:
        _dribble(client)


def _dribble(client: socket.socket) -> None:
    for _ in range(100):
        client.send(b"G")
        time.sleep(0.05)


def test_a_client_that_does_not_read_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 0.5)
    with serving(Some(100_000)) as served:
        port, threads = wait_for_port(served), threading.active_count()
        with closing(socket.socket()) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
            end = time.monotonic() + 10
            while threading.active_count() == threads and time.monotonic() < end:
                time.sleep(0.001)
            while threading.active_count() > threads and time.monotonic() < end:
                time.sleep(0.01)
            assert time.monotonic() < end
        assert get(port, "/healthz").status == 200


@pytest.mark.parametrize(
    "request_line", [b"\xff\xfe\r\n\r\n", b"GET /\xff HTTP/1.0\r\n\r\n", b"\0"]
)
def test_garbage_is_no_request(request_line: bytes) -> None:
    with serving() as served:
        port = wait_for_port(served)
        with connect(port) as client:
            client.send(request_line)
            client.shutdown(socket.SHUT_WR)
            client.recv(4096)
        assert get(port, "/healthz").status == 200


class Loop:
    """An event loop in a thread of its own, in which an agent that knows a view would live."""

    def __init__(self, view: View) -> None:
        self.loop = asyncio.new_event_loop()
        self.asked: list[str] = []
        self._view = view
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def serve(self, settings: Settings) -> Any:
        """Return the context in which it serves; entered already."""

        async def begin() -> Any:
            context = service.serving(settings, Answers(self._known, self._current))
            context.__enter__()
            return context

        return asyncio.run_coroutine_threadsafe(begin(), self.loop).result(5)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    async def _known(self) -> View:
        self.asked.append("known")
        return self._view

    async def _current(self) -> View:
        self.asked.append("current")
        return self._view


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return int(found.getsockname()[1])


def test_the_loop_s_thread_answers_while_it_turns_and_is_not_waited_for_long(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Loop(READY)
    context = agent.serve(Settings(Address("127.0.0.1", port)))
    try:
        _until_served(port)
        assert "sriov_attachments 0.0" in get(port, "/metrics").text
        assert get(port, "/readyz").status == 200
        assert agent.asked == ["current", "known"]
        monkeypatch.setattr(service, "_PROBE", 0.2)
        monkeypatch.setattr(service, "_SCRAPE", 0.2)
        busy = threading.Event()
        agent.loop.call_soon_threadsafe(busy.wait, 10)
        for path in ("/healthz", "/readyz", "/metrics"):
            began, answer = time.monotonic(), get(port, path)
            assert (answer.status, answer.text) == (503, "the agent's event loop does not turn\n")
            assert time.monotonic() - began < 2
        busy.set()
        monkeypatch.setattr(service, "_PROBE", 5.0)
        assert get(port, "/healthz").status == 200
        agent.stop()
        monkeypatch.setattr(service, "_PROBE", 0.2)
        assert get(port, "/healthz").status == 503
        _cancel_all(agent.loop)
        agent.loop.close()
        assert get(port, "/metrics").status == 503
    finally:
        context.__exit__(None, None, None)


def test_nothing_is_served_without_an_address() -> None:
    agent = Loop(READY)
    threads = threading.active_count()
    context = agent.serve(Settings(None))
    assert threading.active_count() == threads
    context.__exit__(None, None, None)
    agent.stop()
    agent.loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Do with the tasks of a stopped loop what asyncio.run() does at its end."""
    loop.run_until_complete(asyncio.sleep(0))


def _until_served(port: int) -> None:
    end = time.monotonic() + 5
    while True:
        try:
            get(port, "/healthz")
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.01)
        else:
            return

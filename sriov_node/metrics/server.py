# SPDX-License-Identifier: Apache-2.0
"""The HTTP server: /metrics, /healthz and /readyz, beside the event loop.

HTTP itself is the standard library's, the metrics' formats are prometheus_client's.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from socketserver import TCPServer
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from sriov_node.metrics.view import View, lacks

_MOST = 8  # connections at once
_PATIENCE = 10.0  # seconds that a connection may last; Prometheus waits as long for a scrape
_RETRY = 1.0  # seconds between attempts to have the port
_TEXT = [("Content-Type", "text/plain; charset=utf-8")]
_log = logging.getLogger(__name__)


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


class Questions(NamedTuple):
    """What the server asks the agent, in threads of its own; each raises TimeoutError.

    `alive` returns if the event loop turns; `view` is what is known.
    """

    alive: Callable[[], object]
    view: Callable[[], View]


class Server:
    """Serves from `start` to `stop`; while the port is another's, it tries to have it.

    With `only_text`, the metrics are in the text format 0.0.4, whatever else a client would take:
    OpenMetrics has no room for a counter and another metric of its name without _total.
    """

    def __init__(
        self,
        address: Address,
        questions: Questions,
        registry: CollectorRegistry,
        *,
        only_text: bool = False,
    ) -> None:
        self._address = address
        self._application = _application(questions, registry, only_text=only_text)
        self._stopped = threading.Event()
        self._http: _HttpServer | None = None
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin to serve, soon."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no more; the port is free when this returns. Requests that are served go on."""
        self._stopped.set()
        if (http := self._http) is not None:
            http.wake()
        self._thread.join(_RETRY)

    @property
    def port(self) -> int | None:
        """The port that it listens at, None as long as it does not."""
        return self._http.server_address[1] if self._http is not None else None

    def _run(self) -> None:
        self._http = self._opened()
        if self._http is None:
            return
        with self._http as http:
            while not self._stopped.is_set():
                http.handle_request()
                http.end_overdue()

    def _opened(self) -> "_HttpServer | None":
        said = ""
        while not self._stopped.is_set():
            try:
                return _HttpServer(self._address, self._application)
            except OSError as error:
                if str(error) != said:
                    host, port = self._address
                    _log.warning("no metrics at %s:%s, will try again: %s", host, port, error)
                said = str(error)
            self._stopped.wait(_RETRY)
        return None


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing about single requests."""


class _HttpServer(ThreadingWSGIServer):
    """A thread for each connection, few at once, and none for long."""

    allow_reuse_port = False  # two agents must not share a port
    request_queue_size = 64  # a crowd is turned away, it does not keep others waiting

    def __init__(self, address: Address, application: WSGIApplication) -> None:
        self._ends: dict[Any, float] = {}  # when a connection has to end (time.monotonic())
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        super().__init__(address, _Handler)
        self.set_app(application)

    def server_bind(self) -> None:
        """Listen, without asking name servers who this host is, as http.server does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_request(self) -> None:
        """Wait for a connection, or until one is overdue."""
        ends = list(self._ends.values())
        self.timeout = max(min(ends) - time.monotonic(), 0.0) if ends else None
        super().handle_request()

    def end_overdue(self) -> None:
        """Shut the connections down that have lasted too long; their threads end with that."""
        now = time.monotonic()
        for request, end in list(self._ends.items()):
            if end <= now:
                self._ends.pop(request, None)
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def wake(self) -> None:
        """Have handle_request return."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Tell whether there is room for one more connection."""
        return len(self._ends) < _MOST

    def process_request(self, request: Any, client_address: Any) -> None:
        """Have a thread answer a connection."""
        self._ends[request] = time.monotonic() + _PATIENCE
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._ends.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write what went wrong with a connection; mostly the client has left."""
        _log.debug("a request for metrics failed", exc_info=True)


def _application(
    questions: Questions, registry: CollectorRegistry, *, only_text: bool
) -> WSGIApplication:
    metrics = make_wsgi_app(registry)

    def healthz() -> tuple[str, str]:
        questions.alive()
        return "200 OK", "ok\n"

    def readyz() -> tuple[str, str]:
        reasons = lacks(questions.view())
        if reasons:
            return "503 Service Unavailable", "".join(f"{reason}\n" for reason in reasons)
        return "200 OK", "ok\n"

    probes = {"/healthz": healthz, "/readyz": readyz}

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if only_text:
            environ.pop("HTTP_ACCEPT", None)
        try:
            if path == "/metrics":
                answer: Iterable[bytes] = metrics(environ, start_response)
                return answer
            status, body = probes[path]() if path in probes else ("404 Not Found", "not found\n")
        except TimeoutError as error:
            status, body = "503 Service Unavailable", f"{error}\n"
        except Exception:
            _log.exception("%s cannot be answered", path)
            status, body = "500 Internal Server Error", "failed; the agent's log says why\n"
        start_response(status, list(_TEXT))  # it adds to them
        return [body.encode(errors="backslashreplace")]

    return application

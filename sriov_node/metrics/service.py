# SPDX-License-Identifier: Apache-2.0
"""Metrics and probes of an agent: the server's threads ask, the event loop's thread answers."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from sriov_node.metrics.collector import Metrics
from sriov_node.metrics.server import Address, Questions, Server
from sriov_node.metrics.view import View

_PROBE = 2.0  # seconds
_SCRAPE = 5.0  # seconds; kubelet, which is asked for pods, takes up to 2 of them
_Answer = TypeVar("_Answer")


class Settings(NamedTuple):
    """Where to serve, None for nowhere, and whether to use the exporter's names as well."""

    address: Address | None = None
    exporter_names: bool = False


class Answers(NamedTuple):
    """What the agent answers, in the event loop; `current` is `known` with pods asked for anew."""

    known: Callable[[], Coroutine[Any, Any, View]]
    current: Callable[[], Coroutine[Any, Any, View]]


@contextmanager
def serving(settings: Settings, answers: Answers) -> Iterator[Callable[[str, float], None]]:
    """Serve for the length of a with-statement, within a running event loop.

    Yields a function to tell of an Allocate with: its resource, and how many seconds it took.
    """
    loop = asyncio.get_running_loop()

    def ask(answer: Callable[[], Coroutine[Any, Any, _Answer]], patience: float) -> _Answer:
        return _ask(loop, answer, patience)

    metrics = Metrics(lambda: ask(answers.current, _SCRAPE), exporter_names=settings.exporter_names)
    if settings.address is None:
        yield metrics.observe_allocate
        return
    server = Server(
        settings.address,
        Questions(alive=lambda: ask(_nothing, _PROBE), view=lambda: ask(answers.known, _PROBE)),
        metrics.registry,
        only_text=settings.exporter_names,
    )
    server.start()
    try:
        yield metrics.observe_allocate
    finally:
        server.stop()


def _ask(
    loop: asyncio.AbstractEventLoop,
    answer: Callable[[], Coroutine[Any, Any, _Answer]],
    patience: float,
) -> _Answer:
    """Have the loop answer; TimeoutError if it does not in time, or has ended."""
    still = "the agent's event loop does not turn"
    if loop.is_closed():
        raise TimeoutError(still)
    future = asyncio.run_coroutine_threadsafe(answer(), loop)
    try:
        return future.result(patience)
    except TimeoutError:
        future.cancel()
        raise TimeoutError(still) from None


async def _nothing() -> None:
    """Answer that the loop turns."""

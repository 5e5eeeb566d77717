# SPDX-License-Identifier: Apache-2.0
"""A sweep: one trial at each of many points, in two workers, all losses collected."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TypeVar

from tests.torture.node import TortureNode

_WORKERS = 2

Case = TypeVar("Case")
Trial = Callable[[TortureNode, Case], list[str]]


def sweep(product: str, cases: Iterable[Case], trial: Trial[Case]) -> list[str]:
    """Return a phrase for each loss; a node that had one is replaced, so that no other follows."""
    todo: SimpleQueue[Case] = SimpleQueue()
    for case in cases:
        todo.put(case)

    def work(number: int) -> list[str]:
        losses = []
        while not todo.empty():
            with TortureNode(product, number) as node:
                losses += _until_first_loss(node, todo, trial)
        return losses

    with ThreadPoolExecutor(_WORKERS) as workers:
        return [loss for losses in workers.map(work, range(_WORKERS)) for loss in losses]


def _until_first_loss(
    node: TortureNode, todo: "SimpleQueue[Case]", trial: Trial[Case]
) -> list[str]:
    while True:
        try:
            case = todo.get_nowait()
        except Empty:
            return []
        node.renew()
        if problems := trial(node, case):
            return [f"{case}: {'; '.join(problems)}"]

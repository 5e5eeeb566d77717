# SPDX-License-Identifier: Apache-2.0
"""Which of a resource's devices kubelet had better give to a container."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sriov_node.device_plugin.pool import Offer, Pool
from sriov_node.device_plugin.resource import Allocation


class _Fitness(NamedTuple):
    """How well a PF would serve what is still to be chosen: the least is the best."""

    far: bool  # from the NUMA nodes of what is chosen
    too_small: bool  # to serve it alone
    use: int
    pf: str


def preferred(
    pool: Pool, available: Iterable[str], must_include: Iterable[str], size: int
) -> tuple[str, ...]:
    """Return the IDs of `size` devices, or of as many as there are.

    Those that must be included come first; the others are healthy devices of the pool that are
    `available`. PACKED takes all of the PF that has the most of its devices in use already and
    still enough free ones, then of the next. BALANCED takes each from the PF that then has the
    fewest in use. Either prefers NUMA nodes of devices already chosen, and of one PF the device
    with the lowest number; addresses decide what is left. The same question has the same answer.
    """
    chosen = list(dict.fromkeys(must_include))[: max(size, 0)]
    free = {i: pool.offers[i] for i in available if i in pool.offers and pool.offers[i].healthy}
    use = Counter(
        _pf(offer)
        for device_id, offer in pool.offers.items()
        if offer.healthy and (device_id not in free or device_id in chosen)
    )
    rest = sorted((offer for i, offer in free.items() if i not in chosen), key=_order)
    near = {pool.offers[i].device.numa_node for i in chosen if i in pool.offers}
    packed = pool.resource.allocation is not Allocation.BALANCED
    while rest and len(chosen) < size:
        wanted = size - len(chosen)
        pf = _best_pf(rest, use, near, wanted, packed=packed)
        taken = [offer for offer in rest if _pf(offer) == pf][: wanted if packed else 1]
        chosen += [offer.device.id for offer in taken]
        near |= {offer.device.numa_node for offer in taken}
        use[pf] += len(taken)
        gone = {offer.device.id for offer in taken}
        rest = [offer for offer in rest if offer.device.id not in gone]
    return tuple(chosen)


def _best_pf(
    rest: list[Offer], use: Counter[str], near: set[int | None], wanted: int, *, packed: bool
) -> str:
    sizes = Counter(_pf(offer) for offer in rest)
    nodes = {_pf(offer): offer.device.numa_node for offer in rest}
    return min(
        _Fitness(
            far=bool(near) and nodes[pf] not in near,
            too_small=packed and free < wanted,
            use=-use[pf] if packed else use[pf],
            pf=pf,
        )
        for pf, free in sizes.items()
    ).pf


def _pf(offer: Offer) -> str:
    """Return what the device shares with others: its PF, or itself if it has none."""
    return offer.device.pf or offer.device.address


def _order(offer: Offer) -> tuple[int, str]:
    number = offer.device.number
    return (-1 if number is None else number, offer.device.id)

# SPDX-License-Identifier: Apache-2.0
"""Which devices kubelet is told to prefer."""

import random

from hypothesis import given
from hypothesis import strategies as st

from sriov_node.device_plugin.pool import Pool
from sriov_node.device_plugin.preference import preferred
from sriov_node.device_plugin.resource import Allocation
from sriov_node.inventory.device import Device
from tests.functions import RESOURCE, pool, vf

A, B, C = "0000:01:00.0", "0000:02:00.0", "0000:03:00.0"
PACKED = RESOURCE._replace(allocation=Allocation.PACKED)
BALANCED = RESOURCE._replace(allocation=Allocation.BALANCED)


def card(*pfs: str, each: int = 4, numa: int = 0) -> list[Device]:
    return [vf(i, pf)._replace(numa_node=numa) for pf in pfs for i in range(each)]


def ids(pf: str, *numbers: int) -> tuple[str, ...]:
    return tuple(vf(number, pf).id for number in numbers)


def chosen(
    offered: Pool, size: int, used: tuple[str, ...] = (), must: tuple[str, ...] = ()
) -> tuple[str, ...]:
    return preferred(offered, [i for i in offered.offers if i not in used], must, size)


def test_packed_takes_of_the_pf_that_has_most_in_use() -> None:
    offered = pool(*card(A, B), resource=PACKED)
    assert chosen(offered, 1, used=ids(B, 0, 2)) == ids(B, 1)
    assert chosen(offered, 2, used=ids(B, 0, 2)) == ids(B, 1, 3)


def test_packed_takes_of_a_pf_that_can_serve_the_request_alone() -> None:
    offered = pool(*card(A, B, C), resource=PACKED)
    used = ids(A, 0, 1, 2) + ids(B, 0)
    assert chosen(offered, 3, used=used) == ids(B, 1, 2, 3)


def test_packed_takes_of_several_pfs_if_none_can_serve_it_alone() -> None:
    offered = pool(*card(A, B), resource=PACKED)
    assert chosen(offered, 6, used=ids(B, 0)) == ids(B, 1, 2, 3) + ids(A, 0, 1, 2)


def test_packed_goes_on_with_the_pf_of_what_must_be_included() -> None:
    offered = pool(*card(A, B), resource=PACKED)
    assert chosen(offered, 2, must=ids(B, 3)) == ids(B, 3, 0)


def test_balanced_takes_of_the_pf_that_has_fewest_in_use() -> None:
    offered = pool(*card(A, B), resource=BALANCED)
    assert chosen(offered, 1, used=ids(A, 0)) == ids(B, 0)
    assert chosen(offered, 1, used=ids(A, 0) + ids(B, 0, 1)) == ids(A, 1)


def test_balanced_spreads_a_request_over_pfs() -> None:
    offered = pool(*card(A, B), resource=BALANCED)
    assert chosen(offered, 3) == ids(A, 0) + ids(B, 0) + ids(A, 1)


def test_devices_of_one_numa_node_are_taken_before_others() -> None:
    devices = card(A, each=2) + card(B, each=2, numa=1) + card(C, each=2)
    for resource in (PACKED, BALANCED):
        offered = pool(*devices, resource=resource)
        assert set(chosen(offered, 4)) == set(ids(A, 0, 1) + ids(C, 0, 1))
        assert chosen(offered, 2, must=ids(B, 1)) == ids(B, 1, 0)


def test_lowest_numbers_first_not_lowest_texts() -> None:
    offered = pool(*card(A, each=12), resource=PACKED)
    assert chosen(offered, 1, used=ids(A, 0, 1)) == ids(A, 2)
    assert chosen(offered, 12) == ids(A, *range(12))


def test_an_unhealthy_device_is_neither_preferred_nor_in_use() -> None:
    offered = pool(*card(A, B, each=2), resource=PACKED)
    sick = offered.offers[ids(B, 0)[0]]._replace(reason="being returned")
    offered = offered._replace(offers={**offered.offers, ids(B, 0)[0]: sick})
    assert preferred(offered, offered.offers, (), 4) == ids(A, 0, 1) + ids(B, 1)


def test_devices_without_pf_are_each_for_themselves() -> None:
    devices = [vf(i)._replace(pf=None, number=None) for i in range(3)]
    for resource in (PACKED, BALANCED):
        offered = pool(*devices, resource=resource)
        assert chosen(offered, 2) == (devices[0].id, devices[1].id)


def test_what_nobody_knows_is_not_preferred() -> None:
    offered = pool(*card(A, each=1), resource=PACKED)
    assert preferred(offered, ["../x", *ids(A, 0)], (), 5) == ids(A, 0)
    assert preferred(offered, ids(A, 0), (), -3) == ()


PFS = st.sampled_from([A, B, C])
DEVICES = st.lists(st.builds(vf, st.integers(0, 7), PFS), max_size=16, unique_by=lambda d: d.id)


@st.composite
def questions(draw: st.DrawFn) -> tuple[Pool, list[str], list[str], int]:
    devices = draw(DEVICES)
    numa = {pf: draw(st.sampled_from([None, 0, 1])) for pf in (A, B, C)}
    devices = [device._replace(numa_node=numa[str(device.pf)]) for device in devices]
    names = [device.id for device in devices]
    available = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    must = draw(st.lists(st.sampled_from(available), unique=True)) if available else []
    resource = draw(st.sampled_from([PACKED, BALANCED]))
    return pool(*devices, resource=resource), available, must, draw(st.integers(0, 20))


@given(questions())
def test_an_answer_fits_the_question(question: tuple[Pool, list[str], list[str], int]) -> None:
    offered, available, must, size = question
    answer = preferred(offered, available, must, size)
    assert len(answer) == len(set(answer)) == min(size, len(available))
    assert set(answer) <= set(available)
    assert answer[: len(must)] == tuple(must[:size])


@given(questions(), st.randoms(use_true_random=False))
def test_the_same_question_has_the_same_answer_in_whatever_order(
    question: tuple[Pool, list[str], list[str], int], order: random.Random
) -> None:
    offered, available, must, size = question
    answer = preferred(offered, available, must, size)
    order.shuffle(available)
    offers = list(offered.offers.items())
    order.shuffle(offers)
    assert preferred(offered._replace(offers=dict(offers)), available, must, size) == answer


@given(questions())
def test_packed_breaks_into_no_second_pf_without_need(
    question: tuple[Pool, list[str], list[str], int],
) -> None:
    offered, available, _, size = question
    offered = offered._replace(resource=PACKED)
    free = [offered.offers[i].device.pf for i in available]
    used_pfs = {offered.offers[i].device.pf for i in preferred(offered, available, (), size)}
    if size and any(free.count(pf) >= size for pf in free):
        assert len(used_pfs) == 1

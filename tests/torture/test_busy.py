# SPDX-License-Identifier: Apache-2.0
"""A driver that is busy for a while, as ice, i40e and iavf are while they reset a VF.

Their answers are EBUSY and EAGAIN (kernel/patience.py has the places). ADD and DEL try again for
ten seconds, and no longer. strace(1) gives the answer in the place of a driver. The requests to a
PF are in tests/lab/test_drivers.py.
"""

import errno
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sriov_cni.kernel.patience import PATIENCE
from tests.points import Point, failing, half_refusing, step
from tests.torture.node import TortureNode

_MAC = "66:d8:02:77:aa:aa"
_MOVE = "RTM_NEWLINK IFLA_NET_NS_FD IFLA_IFNAME IFF_UP"
# A step of ADD; what it is called in errors; how many requests there are from one try to the next.
_STEPS = {
    "down": ("RTM_NEWLINK 0", "setting eth1v0 down", 1),
    "MAC": (
        "RTM_NEWLINK IFLA_ADDRESS",
        f"setting the MAC of eth1v0 to {_MAC}",
        2,
    ),  # and a look in between
    "MTU": ("RTM_NEWLINK IFLA_MTU", "setting the MTU of eth1v0 to 1400", 1),
    "move": (_MOVE, "moving eth1v0 to another network namespace as net1", 1),
}


def side_by_side(trial: Callable[[int, str], None], cases: Iterable[str]) -> None:
    """Do trials that mostly wait, all at once; their numbers tell their nodes apart."""
    with ThreadPoolExecutor() as workers:
        for done in [workers.submit(trial, number, case) for number, case in enumerate(cases)]:
            done.result()


def point_of(points: list[Point], command: str, doing: str) -> Point:
    """Return the first point of a command that does a step."""
    wanted = (command, "sendto", doing)
    return next(point for point in points if (point.command, point.syscall, point.step) == wanted)


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EAGAIN], ids=errno.errorcode.get)
@pytest.mark.parametrize("times", [1, 10])
@pytest.mark.parametrize("what", _STEPS)
def test_an_add_waits_for_a_busy_driver(
    product: str, points: list[Point], what: str, times: int, error: int
) -> None:
    doing, _, every = _STEPS[what]
    point = point_of(points, "ADD", doing)
    with TortureNode(product, 0) as node:
        ending = node.call("ADD", failing(point, error, times, every))
        assert (ending.status, ending.stderr) == (0, ""), ending
        assert ending.trace.count("(INJECTED)") == times
        assert node.pod_macs() == {"lo": "00:00:00:00:00:00", "net1": _MAC}
        assert node.call("DEL").status == 0
        assert node.left() == []


def test_a_driver_that_stays_busy_makes_the_add_fail(product: str, points: list[Point]) -> None:
    def add_and_delete(number: int, what: str) -> None:
        doing, words, every = _STEPS[what]
        tampering = failing(point_of(points, "ADD", doing), errno.EBUSY, 1000, every)
        with TortureNode(product, number) as node:
            ending = node.call("ADD", tampering)
            assert '"code":103' in ending.stdout, ending
            assert f"{words}: Device or resource busy" in ending.stdout
            assert PATIENCE <= ending.seconds < 3 * PATIENCE  # the undo meets it, too
            assert node.call("DEL").status == 0
            assert node.left() == []

    side_by_side(add_and_delete, _STEPS)


def test_a_device_that_moved_but_could_not_come_up_is_brought_up(
    product: str, points: list[Point]
) -> None:
    point = point_of(points, "ADD", _MOVE)
    assert point.request is not None
    with TortureNode(product, 0) as node:
        ending = node.call("ADD", half_refusing(point.request, errno.EBUSY))
        assert (ending.status, ending.stderr) == (0, ""), ending
        after = [step(line) for line in ending.trace.partition("INJECTED")[2].splitlines()]
        assert "RTM_NEWLINK" in after  # strace does not decode what is sent in the pod
        (link,) = node.ip("-n", "pod", "link", "show", "net1")
        assert "UP" in link["flags"]
        assert node.call("DEL").status == 0
        assert node.left() == []


def test_a_del_waits_too_and_may_be_repeated_if_that_was_not_enough(
    product: str, points: list[Point]
) -> None:
    def delete(number: int, doing: str) -> None:
        every = 2 if "ADDRESS" in doing else 1
        point = point_of(points, "DEL", doing)
        with TortureNode(product, number) as node:
            assert node.call("ADD").status == 0
            ending = node.call("DEL", failing(point, errno.EAGAIN, 10, every))
            assert (ending.status, ending.stderr) == (0, ""), ending
            assert node.left() == []
            assert node.call("ADD").status == 0
            ending = node.call("DEL", failing(point, errno.EBUSY, 1000, every=1))
            assert '"code":103' in ending.stdout, ending
            assert PATIENCE <= ending.seconds < 2 * PATIENCE
            assert node.call("DEL").status == 0
            assert node.left() == []

    side_by_side(delete, ["RTM_NEWLINK IFLA_ADDRESS", "RTM_NEWLINK IFLA_MTU"])

# SPDX-License-Identifier: Apache-2.0
"""A driver that is busy for a while, as iavf is while it resets a VF: its answer is EBUSY.

ADD tries again as long as that may pass, and no longer. strace(1) gives the answer in the place of
a driver, to every second request from the one that sets the MAC on: ADD looks in between.
"""

import errno

import pytest

from tests.torture.points import Point, failing
from tests.torture.subject import Subject

_MAC = "66:d8:02:77:aa:aa"


@pytest.fixture(scope="module")
def setting(points: list[Point]) -> Point:
    """The point of ADD that sets the MAC of the VF's device."""
    (point,) = [
        point
        for point in points
        if (point.command, point.syscall, point.step)
        == ("ADD", "sendto", "RTM_NEWLINK IFLA_ADDRESS")
    ]
    return point


def test_a_mac_is_set_once_the_driver_has_time(product: str, setting: Point) -> None:
    with Subject(product, 0) as subject:
        ending = subject.call("ADD", failing(setting, errno.EBUSY, times=5))
        assert (ending.status, ending.stderr) == (0, ""), ending
        assert ending.trace.count("(INJECTED)") == 5
        assert subject.pod_macs() == {"lo": "00:00:00:00:00:00", "net1": _MAC}
        assert subject.call("DEL").status == 0
        assert subject.left() == []


def test_a_driver_that_stays_busy_makes_the_add_fail(product: str, setting: Point) -> None:
    with Subject(product, 0) as subject:
        ending = subject.call("ADD", failing(setting, errno.EBUSY, times=1000))
        assert '"code":103' in ending.stdout, ending
        assert f"setting the MAC of eth1v0 to {_MAC}: Device or resource busy" in ending.stdout
        assert 2 <= ending.seconds < 15  # the undo meets the busy driver, too
        assert subject.call("DEL").status == 0
        assert subject.left() == []

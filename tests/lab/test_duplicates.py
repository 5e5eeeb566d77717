# SPDX-License-Identifier: Apache-2.0
"""An IPv6 address that another pod on the wire has already."""

from collections.abc import Callable

import pytest

from tests import card
from tests.networks import dual_stack_on
from tests.plugin import Plugin, wait_for

pytestmark = pytest.mark.usefixtures("unchanged")


def test_check_tells_that_another_station_has_the_address_or_add_if_it_can(
    sriov: Plugin, pods: Callable[[str], str]
) -> None:
    owner = {"container": "owner", "netns": pods("owner"), "args": "IP=10.7.0.1,fd00:7::1"}
    assert sriov("ADD", dual_stack_on("eth1"), **owner).status == 0
    card.wait_for_carrier("owner", patience=20)
    wait_for(lambda: not tentative("owner"))
    late = {"container": "late", "netns": pods("late"), "args": "IP=10.7.0.2,fd00:7::1"}
    config = dual_stack_on("eth0")
    added = sriov("ADD", config, **late)
    if added.status:  # a VF mostly has no carrier for seconds; on a busy machine it may be sooner
        assert (added.code, "fd00:7::1/64 is taken: another station" in added.said) == (11, True)
    else:
        card.wait_for_carrier("late", patience=20)
        wait_for(lambda: "dadfailed" in str(card.pod_link("late")))
        outcome = sriov("CHECK", config | {"prevResult": added.document}, **late)
        assert outcome.code == 105
        assert "address fd00:7::1/64 is unusable, another station has it" in outcome.said
        assert "10.7.0.2" not in outcome.said
    for container, pf in (("owner", "eth1"), ("late", "eth0")):
        assert sriov("DEL", dual_stack_on(pf), container=container).status == 0


def tentative(pod: str) -> bool:
    """Tell whether the pod's addresses are still being verified."""
    return any(address.get("tentative") for address in card.pod_link(pod)["addr_info"])

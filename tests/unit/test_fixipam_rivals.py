# SPDX-License-Identifier: Apache-2.0
"""fixipam called many times at once: no address is granted twice."""

from sriov_cni.cni import errors
from tests.plugin import outcomes
from tests.unit.executable import SILENCE, error, result
from tests.unit.network import Network, addresses

PODS = [f"pod-{number}" for number in range(8)]


def test_eight_at_once_get_eight_addresses_of_a_pool(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.17")
    granted = outcomes([network.start("ADD", pod) for pod in PODS])
    assert {address for outcome in granted for address in addresses(result(outcome))} == {
        f"10.55.206.{number}/26" for number in range(10, 18)
    }


def test_of_eight_that_want_the_same_address_one_gets_it(network: Network) -> None:
    granted = outcomes([network.start("ADD", pod, "10.55.206.46") for pod in PODS])
    winners = [outcome for outcome in granted if outcome.status == 0]
    losers = [outcome for outcome in granted if outcome.status != 0]
    assert [addresses(result(winner)) for winner in winners] == [["10.55.206.46/26"]]
    assert [error(loser)[0] for loser in losers] == [errors.TRY_AGAIN_LATER] * 7
    assert network.leases() == 1


def test_dels_beside_each_other_release_everything(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.17")
    outcomes([network.start("ADD", pod) for pod in PODS[:4]])
    deletions = [network.start("DEL", pod) for pod in PODS[:4] for _ in range(2)]
    assert outcomes(deletions) == [SILENCE] * 8
    assert network.leases() == 0

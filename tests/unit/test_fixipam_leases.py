# SPDX-License-Identifier: Apache-2.0
"""fixipam's leases: released by DEL and GC, checked by CHECK, counted by STATUS."""

import stat
from typing import Any

import pytest

from sriov_cni.cni import errors
from sriov_cni.cni.names import LONGEST_IDENTIFIER
from tests.plugin import Document
from tests.unit.executable import SILENCE, error, result
from tests.unit.network import Network


def test_del_releases_the_address(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    assert network.delete("pod-a") == SILENCE
    assert network.leases() == 0
    result(network.add("pod-b", ask="10.55.206.46"))


def test_del_releases_all_addresses(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46,10.55.206.47"))
    assert network.delete("pod-a") == SILENCE
    assert network.leases() == 0


def test_del_may_come_again_and_for_what_never_was(network: Network) -> None:
    assert network.delete("pod-a") == SILENCE
    result(network.add("pod-a", ask="10.55.206.46"))
    assert [network.delete("pod-a"), network.delete("pod-a")] == [SILENCE, SILENCE]


def test_del_leaves_every_other_attachment_alone(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    result(network.add("pod-a", "10.55.206.47", "net2"))
    result(network.add("pod-a2", ask="10.55.206.48"))
    assert network.delete("pod-a") == SILENCE
    assert network.leases() == 2


def test_del_needs_no_valid_address_plan(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    network.ipam |= {"subnet": "192.168.0.0/24", "gateway": "gone", "routes": "too"}
    assert network.delete("pod-a") == SILENCE
    assert network.leases() == 0


@pytest.mark.parametrize("ifname", ["a,b", "eth0.100"])
def test_an_unusual_interface_name_is_released_like_any_other(
    network: Network, ifname: str
) -> None:
    result(network.add("pod-a", "10.55.206.46", ifname))
    assert network.delete("pod-a", ifname) == SILENCE
    assert network.leases() == 0


def test_the_longest_names_have_a_lease(network: Network) -> None:
    network.ranges({"subnet": "fd00:1111:2222:3333::/64"})
    longest = "x" * LONGEST_IDENTIFIER
    ifname = "fifteen_letters"
    ask = "fd00:1111:2222:3333:4444:5555:6666:7777"
    result(network.add(longest, ask, ifname, name=longest))
    assert network.delete(longest, ifname, name=longest) == SILENCE
    assert network.leases() == 0


def test_leases_are_the_owners_alone(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    for path in (network.data_directory, *network.data_directory.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_check_finds_what_add_granted(network: Network) -> None:
    granted = result(network.add("pod-a", ask="10.55.206.46"))
    assert network.check("pod-a", granted) == SILENCE


def test_check_leaves_other_plugins_addresses_to_them(network: Network) -> None:
    granted = result(network.add("pod-a", ask="10.55.206.46"))
    granted["ips"].append({"address": "192.168.0.5/24"})
    assert network.check("pod-a", granted) == SILENCE


def test_check_names_the_address_that_is_not_leased(network: Network) -> None:
    granted = result(network.add("pod-a", ask="10.55.206.46"))
    granted["ips"].append({"address": "10.55.206.47/26"})
    code, said = error(network.check("pod-a", granted))
    assert code == errors.NOT_AS_ADDED
    assert "10.55.206.47" in said
    assert "10.55.206.46" not in said


def test_check_misses_a_lease_that_was_released(network: Network) -> None:
    granted = result(network.add("pod-a", ask="10.55.206.46"))
    network.delete("pod-a")
    assert error(network.check("pod-a", granted))[0] == errors.NOT_AS_ADDED


def test_check_does_not_take_anothers_lease_for_its_own(network: Network) -> None:
    granted = result(network.add("pod-a", ask="10.55.206.46"))
    assert error(network.check("pod-b", granted))[0] == errors.NOT_AS_ADDED


def test_check_needs_the_result_of_the_add(network: Network) -> None:
    code, said = error(network.check("pod-a", None))
    assert code == errors.INVALID_CONFIGURATION
    assert "prevResult" in said


def test_gc_releases_what_is_not_on_the_list(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    result(network.add("pod-b", ask="10.55.206.47"))
    assert network.collect("pod-b") == SILENCE
    result(network.add("pod-c", ask="10.55.206.46"))
    assert error(network.add("pod-c", ask="10.55.206.47"))[0] == errors.TRY_AGAIN_LATER


def test_gc_with_an_empty_list_releases_everything(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    assert network.collect() == SILENCE
    assert network.leases() == 0


def test_gc_leaves_other_networks_alone(network: Network) -> None:
    result(network.add("pod-a", ask="10.55.206.46", name="othernet"))
    assert network.collect() == SILENCE
    assert network.leases() == 1


@pytest.mark.parametrize("keys", [{}, {"cni.dev/valid-attachments": None}])
def test_gc_without_a_list_is_refused(network: Network, keys: dict[str, Any]) -> None:
    result(network.add("pod-a", ask="10.55.206.46"))
    code, said = error(network.start("GC", "", **keys).outcome())
    assert (code, network.leases()) == (errors.INVALID_CONFIGURATION, 1)
    assert "cni.dev/valid-attachments" in said


def test_status_is_silent_where_addresses_can_be_granted(network: Network) -> None:
    assert network.status() == SILENCE


def test_status_is_silent_while_a_pool_has_an_address(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.11")
    result(network.add("pod-a"))
    assert network.status() == SILENCE


def test_status_is_silent_about_a_pool_that_is_all_leased(network: Network) -> None:
    network.pool("10.55.206.10", "10.55.206.10")
    result(network.add("pod-a"))
    assert error(network.add("pod-b"))[0] == errors.TRY_AGAIN_LATER
    assert network.status() == SILENCE


def test_status_tells_of_an_unusable_data_directory(network: Network) -> None:
    network.data_directory.write_text("a file in the way")
    assert error(network.status())[0] == errors.NOT_AVAILABLE


@pytest.mark.parametrize(
    ("command", "version"), [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "1.0.0")]
)
def test_a_command_younger_than_the_configuration_is_refused(
    network: Network, command: str, version: str
) -> None:
    keys: Document = {"cniVersion": version, "cni.dev/valid-attachments": []}
    code, _ = error(network.start(command, "pod-a", **keys).outcome())
    assert code == errors.INCOMPATIBLE_VERSION

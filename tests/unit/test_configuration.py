# SPDX-License-Identifier: Apache-2.0
"""The configuration of an attachment: every key, its type, its range, and what goes together."""

from typing import Any

import pytest

from sriov_cni.attachment.configuration import Configuration, parse, respelt
from sriov_cni.cni import errors
from sriov_cni.cni.call import read
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Dns
from sriov_cni.kernel.vfs import VfAttributes
from tests.networks import MYNET, MYNET_ARGS
from tests.plugin import Document

NETWORK: Document = {"name": "mynet", "type": "sriov", "master": "eth1"}


def parsed(config: Document, arguments: str = "") -> Configuration:
    environment = {
        "CNI_CONTAINERID": "pod",
        "CNI_NETNS": "/run/netns/pod",
        "CNI_IFNAME": "net1",
        "CNI_ARGS": arguments,
    }
    return parse(respelt(read("ADD", environment, {**NETWORK, **config}, "1.1.0")))


def attributes(**config: Any) -> VfAttributes:
    return parsed(config).attributes


def refusal(config: Document) -> str:
    """Return the message with which a configuration is refused as invalid."""
    with pytest.raises(CniError) as caught:
        parsed(config)
    assert caught.value.code == errors.INVALID_CONFIGURATION
    return str(caught.value)


def test_the_network_it_all_started_with_is_understood() -> None:
    config = parsed(MYNET, MYNET_ARGS)
    assert (config.master, config.vf) == ("eth1", 1)
    assert config.attributes == VfAttributes(
        mac="66:d8:02:77:aa:aa", vlan=100, vlan_qos=0, vlan_proto="802.1q"
    )


def test_what_is_not_asked_for_is_left_alone() -> None:
    config = parsed({})
    assert (config.vf, config.mtu, config.dns) == (None, None, Dns())
    assert config.attributes == VfAttributes()


def test_unknown_keys_are_ignored() -> None:
    assert parsed({"vlanQuality": 9, "capabilities": {"mac": True}, "x": None}) == parsed({})


def test_keys_are_taken_in_any_case_but_the_right_one_wins() -> None:
    assert parsed({"VLAN": 9, "vlanQos": 3}) == parsed({"vlan": 9, "vlanQoS": 3})
    assert parsed({"vlan": 9, "Vlan": 10}) == parsed({"vlan": 9})


WRONG: dict[str, list[Any]] = {
    "master": [None, "", "../x", "a/b", "..", "a b", "sixteen_letters_", 1, True, ["eth1"]],
    "vf": [-1, 65535, True, False, 1.0, "1", [], {}],
    "mac": ["x", "66:d8:02:77:aa", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", 1, True, []],
    "vlan": [-1, 4095, True, 1.5, "100", [100]],
    "mtu": [0, 67, 65536, True, "1500", 1500.0],
    "spoofchk": [True, False, "ON", "yes", 1],
    "trust": [True, False, "ON", "yes", 1],
    "link_state": ["up", "Auto", True, 1],
    "min_tx_rate": [-1, 1 << 32, True, "100", 1.5],
    "max_tx_rate": [-1, 1 << 32, True, "100", 1.5],
    "dataDir": ["state", "./state", "/a\0b", 1, True],
    "dns": [[], "10.0.0.53", 1],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in WRONG for value in WRONG[key]])
def test_a_wrong_value_is_refused_by_its_key(key: str, value: object) -> None:
    assert f"invalid {key}" in refusal({key: value})


@pytest.mark.parametrize("value", [-1, 8, True, "5", 1.0])
def test_a_vlan_qos_is_a_number_from_0_to_7(value: object) -> None:
    assert "invalid vlanQoS" in refusal({"vlan": 100, "vlanQoS": value})


@pytest.mark.parametrize("value", ["802.1x", "8021q", "q", True, 1])
def test_a_vlan_protocol_is_one_of_two(value: object) -> None:
    assert "invalid vlanProto" in refusal({"vlan": 100, "vlanProto": value})


@pytest.mark.parametrize("config", [{}, {"vlan": 0}])
@pytest.mark.parametrize("key", [{"vlanQoS": 1}, {"vlanProto": "802.1ad"}])
def test_qos_and_802_1ad_need_a_vlan(config: Document, key: Document) -> None:
    assert "where no vlan from 1 to 4094" in refusal(config | key)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("802.1q", "802.1q"),
        ("802.1Q", "802.1q"),
        ("802.1ad", "802.1ad"),
        ("802.1AD", "802.1ad"),
        (None, "802.1q"),
    ],
)
def test_the_vlan_protocol_has_no_case_and_a_default(written: str | None, meant: str) -> None:
    assert attributes(vlan=100, vlanProto=written).vlan_proto == meant


def test_a_vlan_without_qos_has_priority_0() -> None:
    assert attributes(vlan=100).vlan_qos == 0
    assert attributes(vlan=100, vlanQoS=7).vlan_qos == 7


def test_vlan_0_asks_for_untagged_traffic() -> None:
    assert attributes(vlan=0)[1:4] == (0, 0, "802.1q")


@pytest.mark.parametrize("vf", [0, 1, 65534])
def test_a_vf_is_asked_for_by_its_index(vf: int) -> None:
    assert parsed({"vf": vf}).vf == vf


@pytest.mark.parametrize(("written", "meant"), [("on", True), ("off", False), (None, None)])
@pytest.mark.parametrize("key", ["spoofchk", "trust"])
def test_switches_are_on_off_or_left_alone(
    key: str, written: str | None, meant: bool | None
) -> None:
    assert attributes(**{key: written})._asdict()[key] == meant


@pytest.mark.parametrize("key", ["mac", "spoofchk", "trust", "link_state"])
def test_an_empty_string_asks_for_nothing_as_with_the_go_plugin(key: str) -> None:
    assert attributes(**{key: ""}) == VfAttributes()


@pytest.mark.parametrize("state", ["auto", "enable", "disable"])
def test_the_link_state_is_one_of_the_kernels(state: str) -> None:
    assert attributes(link_state=state).link_state == state


@pytest.mark.parametrize(("lowest", "highest"), [(0, 0), (100, 100), (100, 0), (100, 200)])
def test_rates_go_from_a_lowest_to_a_highest_where_0_is_no_limit(lowest: int, highest: int) -> None:
    both = attributes(min_tx_rate=lowest, max_tx_rate=highest)
    assert (both.min_tx_rate, both.max_tx_rate) == (lowest, highest)


def test_the_lowest_rate_is_not_above_the_highest() -> None:
    assert "at most max_tx_rate, which is 100" in refusal({"min_tx_rate": 101, "max_tx_rate": 100})


@pytest.mark.parametrize("mtu", [68, 1500, 9000, 65535])
def test_an_mtu_is_what_ethernet_devices_may_have(mtu: int) -> None:
    assert parsed({"mtu": mtu}).mtu == mtu


def test_a_mac_is_understood_in_both_ways_of_writing() -> None:
    assert attributes(mac="66-D8-02-77-AA-AA").mac == "66:d8:02:77:aa:aa"


def test_state_is_kept_where_the_configuration_says() -> None:
    assert parsed({}).state_directory == "/var/lib/cni/sriov"
    assert parsed({"dataDir": "/run/sriov"}).state_directory == "/run/sriov"


@pytest.mark.parametrize("arguments", ["VFF=1", "VF=1;VLANID=5", "IPS=10.0.0.5"])
def test_an_argument_nobody_knows_is_an_invalid_environment(arguments: str) -> None:
    with pytest.raises(CniError, match="invalid CNI_ARGS") as caught:
        parsed({}, arguments)
    assert caught.value.code == errors.INVALID_ENVIRONMENT


@pytest.mark.parametrize("arguments", ["VFF=1;IgnoreUnknown=1", "K8S_POD_NAME=p;K8S_POD_UID=u"])
def test_kubernetes_arguments_and_ignored_ones_are_let_through(arguments: str) -> None:
    assert parsed({}, arguments) == parsed({})

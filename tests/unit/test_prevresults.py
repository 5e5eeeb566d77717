# SPDX-License-Identifier: Apache-2.0
"""Results from outside (prevResult, delegated IPAM): what is let through, what is refused how."""

from typing import Any

import pytest

from sriov_cni.cni import errors
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Result, parse_result, previous_result

IP = {"address": "10.0.0.5/24"}


@pytest.mark.parametrize("version", [None, ""])
def test_a_result_without_version_is_one_of_0_1_0(version: str | None) -> None:
    document = {"cniVersion": version, "ip4": {"ip": "10.0.0.5/24"}, "ips": [IP, IP]}
    assert len(parse_result(document, "").ips) == 1


def test_a_result_of_an_unknown_version_is_an_incompatibility() -> None:
    with pytest.raises(CniError) as caught:
        parse_result({"cniVersion": "0.9.0"}, "")
    assert caught.value.code == errors.INCOMPATIBLE_VERSION


@pytest.mark.parametrize(
    "document",
    [
        {"interfaces": None, "ips": None, "routes": None, "dns": None},
        {"interfaces": [], "ips": [], "routes": [], "dns": {}},
        {"dns": {"nameservers": None, "domain": "", "search": [], "options": None}},
        {"a key of version": "2.0.0"},
    ],
)
def test_null_empty_absent_and_unknown_are_all_the_same(document: dict[str, Any]) -> None:
    assert parse_result({"cniVersion": "1.1.0", **document}, "") == Result()


@pytest.mark.parametrize("gateway", ["", None])
def test_an_empty_gateway_is_none_as_go_plugins_write_it(gateway: str | None) -> None:
    document = {
        "cniVersion": "1.0.0",
        "ips": [{**IP, "gateway": gateway}],
        "routes": [{"dst": "0.0.0.0/0", "gw": gateway}],
    }
    result = parse_result(document, "")
    assert (result.ips[0].gateway, result.routes[0].gateway) == (None, None)


WRONG: dict[str, dict[str, Any]] = {
    "interfaces": {"interfaces": {}},
    "interfaces[0].name": {"interfaces": [{"name": 1}]},
    "interfaces[0].mtu": {"interfaces": [{"mtu": True}]},
    "ips": {"ips": ["10.0.0.5/24"]},
    "ips[0].address": {"ips": [{}]},
    "ips[1].address": {"ips": [IP, {"address": "10.0.0.5"}]},
    "ips[0].gateway": {"ips": [{**IP, "gateway": "10.0.0.1/24"}]},
    "ips[0].interface": {"ips": [{**IP, "interface": -1}]},
    "routes": {"routes": "0.0.0.0/0"},
    "routes[0].dst": {"routes": [{"gw": "10.0.0.1"}]},
    "routes[0].gw": {"routes": [{"dst": "0.0.0.0/0", "gw": "gateway"}]},
    "routes[0].mtu": {"routes": [{"dst": "0.0.0.0/0", "mtu": "1500"}]},
    "routes[0].advmss": {"routes": [{"dst": "0.0.0.0/0", "advmss": -1}]},
    "routes[0].priority": {"routes": [{"dst": "0.0.0.0/0", "priority": 1 << 32}]},
    "routes[0].table": {"routes": [{"dst": "0.0.0.0/0", "table": 1.5}]},
    "routes[0].scope": {"routes": [{"dst": "0.0.0.0/0", "scope": 256}]},
    "dns": {"dns": "10.0.0.53"},
    "dns.nameservers": {"dns": {"nameservers": "10.0.0.53"}},
    "dns.domain": {"dns": {"domain": ["example.org"]}},
}


@pytest.mark.parametrize(("key", "document"), WRONG.items(), ids=WRONG)
def test_a_wrong_value_is_refused_by_its_place_in_the_configuration(
    key: str, document: dict[str, Any]
) -> None:
    with pytest.raises(CniError) as caught:
        previous_result({"cniVersion": "1.1.0", "prevResult": document})
    assert caught.value.code == errors.INVALID_CONFIGURATION
    assert caught.value.msg == f"invalid prevResult.{key}"


@pytest.mark.parametrize("family", ["ip4", "ip6"])
def test_before_0_3_0_an_address_is_refused_by_its_family(family: str) -> None:
    with pytest.raises(CniError, match=rf"invalid prevResult\.{family}\.ip"):
        previous_result({"prevResult": {family: {"ip": "10.0.0.5/255.255.255.0"}}})


@pytest.mark.parametrize("config", [{}, {"prevResult": None}])
def test_there_need_be_no_prevresult(config: dict[str, Any]) -> None:
    assert previous_result(config) is None


@pytest.mark.parametrize("value", [[], "result", 1, True])
def test_a_prevresult_that_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(CniError, match="prevResult") as caught:
        previous_result({"cniVersion": "1.0.0", "prevResult": value})
    assert caught.value.code == errors.INVALID_CONFIGURATION


def test_a_prevresult_without_version_has_the_one_of_the_configuration() -> None:
    previous = previous_result({"cniVersion": "1.0.0", "prevResult": {"ips": [IP]}})
    assert previous is not None
    assert str(previous.ips[0].address) == "10.0.0.5/24"


def test_a_prevresult_with_a_version_keeps_it() -> None:
    previous = previous_result(
        {"cniVersion": "1.0.0", "prevResult": {"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.5/24"}}}
    )
    assert previous is not None
    assert str(previous.ips[0].address) == "10.0.0.5/24"

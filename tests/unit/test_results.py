# SPDX-License-Identifier: Apache-2.0
"""Results have, in every version of the specification, the shape it gives them there."""

import json
from itertools import combinations
from typing import Any

import pytest

from sriov_cni.cni.addresses import parse_address, parse_network
from sriov_cni.cni.result import Dns, Interface, Ip, Result, Route, parse_result
from sriov_cni.cni.versions import SUPPORTED

RESULT = Result(
    interfaces=(
        Interface("net1", "66:d8:02:77:aa:aa", "/run/netns/pod", 1500, "0000:3b:02.1"),
        Interface("eth1"),
    ),
    ips=(
        Ip(parse_network("10.55.206.46/26"), parse_address("10.55.206.1"), 0),
        Ip(parse_network("fd00:55::2e/64"), None, 0),
    ),
    routes=(
        Route(parse_network("0.0.0.0/0")),
        Route(parse_network("192.168.0.0/16"), parse_address("10.55.206.2"), mtu=1400, advmss=1360),
        Route(parse_network("fd01::/48"), priority=100, table=42, scope=253),
    ),
    dns=Dns(("10.55.0.53",), "example.org", ("pods.example.org", "example.org"), ("ndots:2",)),
)
DNS = {
    "nameservers": ["10.55.0.53"],
    "domain": "example.org",
    "search": ["pods.example.org", "example.org"],
    "options": ["ndots:2"],
}
# 0.1.0, section "Result"; 0.2.0 is the same
FIRST_SHAPE = {
    "ip4": {
        "ip": "10.55.206.46/26",
        "gateway": "10.55.206.1",
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.168.0.0/16", "gw": "10.55.206.2"}],
    },
    "ip6": {"ip": "fd00:55::2e/64", "routes": [{"dst": "fd01::/48"}]},
    "dns": DNS,
}
# 0.3.0, section "Result"; the same up to 0.4.0
SECOND_SHAPE = {
    "interfaces": [
        {"name": "net1", "mac": "66:d8:02:77:aa:aa", "sandbox": "/run/netns/pod"},
        {"name": "eth1"},
    ],
    "ips": [
        {
            "version": "4",
            "address": "10.55.206.46/26",
            "gateway": "10.55.206.1",
            "interface": 0,
        },
        {"version": "6", "address": "fd00:55::2e/64", "interface": 0},
    ],
    "routes": [
        {"dst": "0.0.0.0/0"},
        {"dst": "192.168.0.0/16", "gw": "10.55.206.2"},
        {"dst": "fd01::/48"},
    ],
    "dns": DNS,
}
# 1.0.0, section 5: `version` is gone from `ips`
THIRD_SHAPE = {
    "interfaces": [
        {"name": "net1", "mac": "66:d8:02:77:aa:aa", "sandbox": "/run/netns/pod"},
        {"name": "eth1"},
    ],
    "ips": [
        {"address": "10.55.206.46/26", "gateway": "10.55.206.1", "interface": 0},
        {"address": "fd00:55::2e/64", "interface": 0},
    ],
    "routes": [
        {"dst": "0.0.0.0/0"},
        {"dst": "192.168.0.0/16", "gw": "10.55.206.2"},
        {"dst": "fd01::/48"},
    ],
    "dns": DNS,
}
# 1.1.0, section 5: mtu and pciID of interfaces, attributes of routes
FOURTH_SHAPE = {
    "interfaces": [
        {
            "name": "net1",
            "mac": "66:d8:02:77:aa:aa",
            "mtu": 1500,
            "sandbox": "/run/netns/pod",
            "pciID": "0000:3b:02.1",
        },
        {"name": "eth1"},
    ],
    "ips": [
        {"address": "10.55.206.46/26", "gateway": "10.55.206.1", "interface": 0},
        {"address": "fd00:55::2e/64", "interface": 0},
    ],
    "routes": [
        {"dst": "0.0.0.0/0"},
        {"dst": "192.168.0.0/16", "gw": "10.55.206.2", "mtu": 1400, "advmss": 1360},
        {"dst": "fd01::/48", "priority": 100, "table": 42, "scope": 253},
    ],
    "dns": DNS,
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "0.1.0": {"cniVersion": "0.1.0", **FIRST_SHAPE},
    "0.2.0": {"cniVersion": "0.2.0", **FIRST_SHAPE},
    "0.3.0": {"cniVersion": "0.3.0", **SECOND_SHAPE},
    "0.3.1": {"cniVersion": "0.3.1", **SECOND_SHAPE},
    "0.4.0": {"cniVersion": "0.4.0", **SECOND_SHAPE},
    "1.0.0": {"cniVersion": "1.0.0", **THIRD_SHAPE},
    "1.1.0": {"cniVersion": "1.1.0", **FOURTH_SHAPE},
}

PAIRS = list(combinations(SUPPORTED, 2))  # the older one first


def written(result: Result, version: str) -> Any:
    """Return the document a runtime reads."""
    return json.loads(json.dumps(result.document(version)))


def test_every_supported_version_has_its_example() -> None:
    assert tuple(DOCUMENTS) == SUPPORTED


@pytest.mark.parametrize("version", SUPPORTED)
def test_a_result_is_written_in_the_shape_of_the_version(version: str) -> None:
    assert written(RESULT, version) == DOCUMENTS[version]


@pytest.mark.parametrize("version", SUPPORTED)
def test_what_was_read_is_written_again_as_it_was(version: str) -> None:
    assert written(parse_result(DOCUMENTS[version], ""), version) == DOCUMENTS[version]


@pytest.mark.parametrize(("older", "newer"), PAIRS)
def test_a_newer_version_keeps_all_that_an_older_one_says(older: str, newer: str) -> None:
    in_newer = written(parse_result(DOCUMENTS[older], ""), newer)
    assert written(parse_result(in_newer, ""), older) == DOCUMENTS[older]


@pytest.mark.parametrize(("older", "newer"), PAIRS)
def test_an_older_version_says_all_that_it_can_of_a_newer_one(older: str, newer: str) -> None:
    assert written(parse_result(DOCUMENTS[newer], ""), older) == DOCUMENTS[older]


@pytest.mark.parametrize("version", SUPPORTED)
def test_an_empty_result_is_its_version_and_nothing_else(version: str) -> None:
    assert written(Result(), version) == {"cniVersion": version}


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_before_0_3_0_the_first_address_of_a_family_stands_for_all(version: str) -> None:
    first, second = Ip(parse_network("10.0.0.5/24")), Ip(parse_network("10.0.0.6/24"))
    document = written(Result(ips=(first, second)), version)
    assert document["ip4"]["ip"] == "10.0.0.5/24"

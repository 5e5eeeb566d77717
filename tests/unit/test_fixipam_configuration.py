# SPDX-License-Identifier: Apache-2.0
"""fixipam's configuration: what may stand under the key ipam, and what is refused how."""

from typing import Any

import pytest

from ipam.configuration import parse, requested
from sriov_cni.cni import errors
from sriov_cni.cni.call import Call, read
from sriov_cni.cni.errors import CniError
from tests.plugin import Document

ENVIRONMENT = {"CNI_CONTAINERID": "pod", "CNI_NETNS": "/run/netns/pod", "CNI_IFNAME": "net1"}
SUBNET = {"subnet": "10.0.0.0/24"}
WRONG: list[tuple[str, Document]] = [
    ("ipam.subnet", {}),
    ("ipam.subnet", {"subnet": "10.0.0.0"}),
    ("ipam.subnet", {"subnet": "10.0.0.5/24"}),
    ("ipam.subnet", {"subnet": True}),
    ("ipam.subnet", {**SUBNET, "ranges": [SUBNET]}),
    ("ipam.gateway", {**SUBNET, "gateway": "10.0.0.1/24"}),
    ("ipam.gateway", {**SUBNET, "gateway": "fd00::1"}),
    ("ipam.gateway", {**SUBNET, "gateway": 1}),
    ("ipam.routes", {**SUBNET, "routes": {"dst": "0.0.0.0/0"}}),
    ("ipam.routes[0].dst", {**SUBNET, "routes": [{"dst": "default"}]}),
    ("ipam.dns", {**SUBNET, "dns": ["10.0.0.53"]}),
    ("ipam.dataDir", {**SUBNET, "dataDir": "leases"}),
    ("ipam.ranges", {"ranges": []}),
    ("ipam.ranges", {"ranges": SUBNET}),
    ("ipam.ranges", {"ranges": [[]]}),
    ("ipam.ranges", {"ranges": ["10.0.0.0/24"]}),
    ("ipam.ranges[1].subnet", {"ranges": [SUBNET, {"subnet": "x"}]}),
    ("ipam.ranges[0].gateway", {"ranges": [[{**SUBNET, "gateway": "x"}]]}),
    ("ipam.rangeStart", {**SUBNET, "rangeStart": "10.0.1.1"}),
    ("ipam.rangeStart", {**SUBNET, "rangeStart": "10.0.0.0"}),
    ("ipam.rangeStart", {**SUBNET, "rangeStart": "10.0.0.9", "rangeEnd": "10.0.0.8"}),
    ("ipam.rangeEnd", {**SUBNET, "rangeEnd": "10.0.0.255"}),
    ("ipam.rangeEnd", {**SUBNET, "rangeEnd": "fd00::1"}),
]


def call(**config: Any) -> Call:
    return read("ADD", ENVIRONMENT, {"name": "mynet", **config}, "1.1.0")


@pytest.mark.parametrize(("key", "ipam"), WRONG)
def test_a_wrong_value_is_refused_by_its_key(key: str, ipam: Document) -> None:
    with pytest.raises(CniError) as caught:
        parse(call(ipam=ipam))
    assert (caught.value.code, caught.value.msg) == (errors.INVALID_CONFIGURATION, f"invalid {key}")


@pytest.mark.parametrize("ipam", [None, [], "fixipam"])
def test_the_configuration_is_an_object(ipam: object) -> None:
    with pytest.raises(CniError, match="invalid ipam") as caught:
        parse(call(ipam=ipam))
    assert caught.value.code == errors.INVALID_CONFIGURATION


@pytest.mark.parametrize("ips", ["10.0.0.5", {}, [1], [None], [["10.0.0.5"]]])
@pytest.mark.parametrize("place", ["runtimeConfig", "args.cni"])
def test_addresses_are_asked_for_in_a_list_of_strings(place: str, ips: object) -> None:
    outer, _, inner = place.partition(".")
    asking = call(ipam=SUBNET, **{outer: {inner: {"ips": ips}} if inner else {"ips": ips}})
    with pytest.raises(CniError, match="a list of strings") as caught:
        requested(asking, parse(asking))
    assert caught.value.msg == f"invalid {place}.ips"


@pytest.mark.parametrize(
    ("subnet", "address"),
    [
        ("10.55.206.0/26", "10.55.206.1"),
        ("10.55.206.0/26", "10.55.206.62"),
        ("10.55.206.0/31", "10.55.206.0"),
        ("10.55.206.0/31", "10.55.206.1"),
        ("10.55.206.9/32", "10.55.206.9"),
        ("fd00:55::/64", "fd00:55::ffff:ffff:ffff:ffff"),
        ("fd00:55::/127", "fd00:55::"),
        ("fd00:55::9/128", "fd00:55::9"),
    ],
)
def test_every_address_a_host_may_have_can_be_asked_for(subnet: str, address: str) -> None:
    asking = call(ipam={"subnet": subnet}, runtimeConfig={"ips": [address]})
    assert [str(granted) for _, granted in requested(asking, parse(asking))] == [address]


def test_leases_are_kept_where_the_configuration_says() -> None:
    assert parse(call(ipam=SUBNET)).data_directory == "/var/lib/cni/fixipam"
    assert parse(call(ipam=SUBNET | {"dataDir": "/run/ipam"})).data_directory == "/run/ipam"

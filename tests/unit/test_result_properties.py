# SPDX-License-Identifier: Apache-2.0
"""Whatever a result holds: written and read again, it says all that the version can express."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sriov_cni.cni.addresses import IPAddress, IPNetwork
from sriov_cni.cni.result import Dns, Interface, Ip, Result, Route, parse_result
from sriov_cni.cni.versions import SUPPORTED

texts = st.lists(st.text(), max_size=3).map(tuple)
others = st.dictionaries(st.sampled_from(["socketPath", "x"]), st.text() | st.lists(st.integers()))
numbers = st.none() | st.integers(0, (1 << 32) - 1)


@st.composite
def addresses(draw: st.DrawFn) -> IPAddress:
    return IPAddress(str(draw(st.ip_addresses())))


@st.composite
def networks(draw: st.DrawFn) -> IPNetwork:
    address = draw(addresses())
    return IPNetwork(f"{address}/{draw(st.integers(0, 32 if address.version == 4 else 128))}")


def some(items: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=3).map(tuple)


results = st.builds(
    Result,
    some(st.builds(Interface, st.text(), st.text(), st.text(), numbers, st.text(), others)),
    some(st.builds(Ip, networks(), st.none() | addresses(), numbers)),
    some(
        st.builds(
            Route,
            networks(),
            st.none() | addresses(),
            mtu=numbers,
            advmss=numbers,
            priority=numbers,
            table=numbers,
            scope=st.none() | st.integers(0, 255),
        )
    ),
    st.builds(Dns, texts, st.text(), texts, texts),
)


def expressible(result: Result, version: str) -> Result:
    """Return what is left of a result when a version has said all it can."""
    if version == "1.1.0":
        return result
    plain = tuple(Route(route.destination, route.gateway) for route in result.routes)
    if version >= "0.3.0":
        interfaces = tuple(i._replace(mtu=None, pci_id="") for i in result.interfaces)
        return result._replace(interfaces=interfaces, routes=plain)
    ips, routes = [], []
    for family in (4, 6):
        for ip in [ip for ip in result.ips if ip.address.version == family][:1]:
            ips.append(ip._replace(interface=None))
            routes += [route for route in plain if route.destination.version == family]
    return Result((), tuple(ips), tuple(routes), result.dns)


def said(result: Result) -> str:
    """Return a result as text; netaddr's networks are equal whatever their host bits are."""
    return repr(result)


@given(results)
def test_a_result_survives_writing_and_reading_in_every_version(result: Result) -> None:
    for version in SUPPORTED:
        document = json.loads(json.dumps(result.document(version)))
        assert said(parse_result(document, "")) == said(expressible(result, version))

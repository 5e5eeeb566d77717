# SPDX-License-Identifier: Apache-2.0
"""Whatever a runtime says: it is understood, or refused with the code of the place it is in."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipam import commands as fixipam
from sriov_cni.attachment import configuration
from sriov_cni.cni import errors, log
from sriov_cni.cni.call import COMMANDS, Call, read
from sriov_cni.cni.document import decode, encode
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import parse_result, previous_result
from sriov_cni.cni.versions import SUPPORTED
from tests.values import KEYS, VALUES

CODES = {
    errors.INCOMPATIBLE_VERSION,
    errors.INVALID_ENVIRONMENT,
    errors.INVALID_CONFIGURATION,
    errors.ADDRESS_REFUSED,
}
# What a variable may hold, as os.environ shows it: any bytes but NUL.
variables = st.binary(max_size=40).map(
    lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)
texts = [value for value in VALUES if isinstance(value, str) and "\0" not in value]
arguments = st.lists(
    st.tuples(
        st.sampled_from(["VF", "MAC", "VLAN", "IP", "IgnoreUnknown", "x", ""]),
        st.sampled_from(texts),
    ),
    max_size=4,
).map(lambda pairs: ";".join("=".join(pair) for pair in pairs))
environments = st.fixed_dictionaries(
    {
        "CNI_CONTAINERID": st.just("pod") | variables,
        "CNI_NETNS": st.just("/run/netns/pod") | variables,
        "CNI_IFNAME": st.just("net1") | variables,
        "CNI_ARGS": st.just("") | arguments | variables,
        "CNI_PATH": st.just("/opt/cni/bin"),
    }
)


def written(value: Any) -> Any:
    """Return a value as it comes out of JSON, None if it cannot."""
    try:
        return decode(json.dumps({"value": value}).encode(), "it")["value"]
    except CniError:
        return None


values = st.recursive(
    st.sampled_from(VALUES).map(written),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
keys = st.sampled_from([key for key in KEYS if key not in ("logFile", "cniVersion")])
configs = st.dictionaries(keys, values, max_size=6).map(
    lambda config: {"name": "mynet", "master": "eth1", **config}
)


@pytest.fixture(autouse=True, scope="module")
def _usual_log() -> Iterator[None]:
    yield
    log.configure("info", None)


def refused(error: CniError) -> None:
    """Check the error that a refusal is."""
    assert error.code in CODES
    assert error.msg.isprintable()
    assert 0 < len(error.msg) + len(error.details) < 1000


@given(st.sampled_from(COMMANDS[:-1]), environments, configs, st.sampled_from(SUPPORTED))
@example(
    "ADD",
    {"CNI_CONTAINERID": "pod", "CNI_NETNS": "/\udcff", "CNI_IFNAME": "a"},
    {"name": "a"},
    "1.1.0",
)
def test_a_call_is_read_or_refused(
    command: str, environment: dict[str, str], config: dict[str, Any], version: str
) -> None:
    try:
        call = read(command, environment, config, version)
    except CniError as error:
        return refused(error)
    # what was accepted can be kept in a record, and is found there again
    kept = {"owner": call.owner, "netns": call.netns, "config": call.config}
    kept["arguments"] = call.arguments.text
    assert decode(encode(kept), "it", deepest=65) == json.loads(json.dumps(kept))
    assert "/" not in call.owner.container_id + call.owner.ifname
    return None


def call_with(config: dict[str, Any], arguments: str) -> Call:
    environment = {"CNI_CONTAINERID": "pod", "CNI_NETNS": "/x", "CNI_IFNAME": "net1"}
    return read("ADD", {**environment, "CNI_ARGS": arguments}, config, "1.1.0")


@given(configs, st.just("") | arguments)
def test_a_configuration_is_understood_or_refused(config: dict[str, Any], arguments: str) -> None:
    try:
        wanted = configuration.parse(call_with(config, arguments))
    except CniError as error:
        return refused(error)
    assert wanted.state_directory.startswith("/")
    assert "/" not in wanted.master + (wanted.device_id or "")
    assert wanted.vf is None or 0 <= wanted.vf < 65535
    return None


@given(st.dictionaries(keys, values, max_size=6), configs, st.just("") | arguments)
def test_an_address_plan_is_understood_or_refused(
    plan: dict[str, Any], config: dict[str, Any], arguments: str
) -> None:
    plan = {"subnet": "10.1.0.0/24", "gateway": "10.1.0.1", **plan}
    try:
        fixipam.plan(call_with({**config, "ipam": plan}, arguments))
    except CniError as error:
        refused(error)


@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=8), st.sampled_from(SUPPORTED))
def test_a_result_is_understood_or_refused(document: dict[str, Any], version: str) -> None:
    with suppress(CniError):
        parse_result({**document, "cniVersion": version}, "").document("1.1.0")
    with suppress(CniError):
        previous_result({"prevResult": document, "cniVersion": version})

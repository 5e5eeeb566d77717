# SPDX-License-Identifier: Apache-2.0
"""What a runtime asks for: CNI_ARGS, and the order of precedence of all places to ask in."""

import pytest

from sriov_cni.cni import errors
from sriov_cni.cni.call import Call, read
from sriov_cni.cni.document import JsonObject
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import configuration


def call(arguments: str = "", /, **config: object) -> Call:
    environment = {
        "CNI_CONTAINERID": "pod",
        "CNI_NETNS": "/run/netns/pod",
        "CNI_IFNAME": "net1",
        "CNI_ARGS": arguments,
    }
    return read("ADD", environment, {"name": "mynet", "master": "eth1", **config}, "1.1.0")


@pytest.mark.parametrize(
    ("args", "meaning"),
    [
        ("", {}),
        ("VF=1", {"VF": "1"}),
        ("VF=1;", {"VF": "1"}),
        (";;VF=1;;IP=10.0.0.5", {"VF": "1", "IP": "10.0.0.5"}),
        ("vf=1;Mac=66:D8:02:77:AA:AA", {"VF": "1", "MAC": "66:D8:02:77:AA:AA"}),
        ("VF=", {"VF": ""}),
        (" VF = 1 ", {"VF": "1"}),
        ("K8S_POD_NAME=a=b", {"K8S_POD_NAME": "a=b"}),
        ("VF=1;vf=2", {"VF": "2"}),
    ],
)
def test_cni_args_are_pairs_whose_keys_have_no_case(args: str, meaning: dict[str, str]) -> None:
    assert call(args).args == meaning


@pytest.mark.parametrize("true", ["1", "t", "T", "true", "TRUE", "True"])
def test_unknown_arguments_are_ignored_on_request(true: str) -> None:
    call(f"VFF=1;IgnoreUnknown={true}").refuse_unknown_arguments(("VF",))


@pytest.mark.parametrize("args", ["VFF=1", "VFF=1;IgnoreUnknown=0", "IGNOREUNKNOWN=false;vff=1"])
def test_unknown_arguments_are_refused_otherwise(args: str) -> None:
    with pytest.raises(CniError, match="VFF") as caught:
        call(args).refuse_unknown_arguments(("VF",))
    assert caught.value.code == errors.INVALID_ENVIRONMENT


def test_ignore_unknown_is_true_or_false() -> None:
    with pytest.raises(CniError, match="IgnoreUnknown") as caught:
        call("IgnoreUnknown=yes").refuse_unknown_arguments(())
    assert caught.value.code == errors.INVALID_ENVIRONMENT


@pytest.mark.parametrize("key", ["NAMESPACE", "NAME", "INFRA_CONTAINER_ID", "UID"])
def test_kubernetes_own_arguments_are_known(key: str) -> None:
    call(f"K8S_POD_{key}=x").refuse_unknown_arguments(())


def mac(last: int) -> str:
    return f"66:d8:02:77:aa:{last:02x}"


PLACES = ["runtimeConfig", "args.cni", "CNI_ARGS", "configuration"]


def asking(key: str, values: dict[str, object]) -> Call:
    """Return a call that asks for `key` in some of PLACES."""
    config: JsonObject = {}
    if "runtimeConfig" in values:
        config["runtimeConfig"] = {key: values["runtimeConfig"]}
    if "args.cni" in values:
        config["args"] = {"cni": {key: values["args.cni"]}}
    if "configuration" in values:
        config[key] = values["configuration"]
    return call(f"{key.upper()}={values['CNI_ARGS']}" if "CNI_ARGS" in values else "", **config)


@pytest.mark.parametrize("strongest", range(len(PLACES)), ids=PLACES)
@pytest.mark.parametrize("key", ["vf", "vlan", "mac"])
def test_the_strongest_request_wins(key: str, strongest: int) -> None:
    numbers = dict(zip(PLACES[strongest:], range(strongest, 4), strict=True))
    if key == "mac":
        config = configuration.parse(asking(key, {p: mac(n) for p, n in numbers.items()}))
        assert config.attributes.mac == mac(strongest)
    else:
        config = configuration.parse(asking(key, {**numbers}))
        assert {"vf": config.vf, "vlan": config.attributes.vlan}[key] == strongest


@pytest.mark.parametrize("key", ["vf", "vlan"])
@pytest.mark.parametrize("place", PLACES)
def test_zero_is_a_request_like_any_other(key: str, place: str) -> None:
    config = configuration.parse(asking(key, {"configuration": 9, place: 0}))
    assert {"vf": config.vf, "vlan": config.attributes.vlan}[key] == 0


@pytest.mark.parametrize("place", PLACES[:-1])
def test_an_empty_request_leaves_the_word_to_the_weaker_one(place: str) -> None:
    config = configuration.parse(asking("mac", {"configuration": mac(9), place: ""}))
    assert config.attributes.mac == mac(9)


@pytest.mark.parametrize("key", ["vf", "vlan"])
def test_an_empty_argument_leaves_the_word_to_the_configuration(key: str) -> None:
    config = configuration.parse(asking(key, {"configuration": 9, "CNI_ARGS": ""}))
    assert {"vf": config.vf, "vlan": config.attributes.vlan}[key] == 9


@pytest.mark.parametrize(
    ("place", "code", "named"),
    [
        ("runtimeConfig", errors.INVALID_CONFIGURATION, "runtimeConfig.vf"),
        ("args.cni", errors.INVALID_CONFIGURATION, "args.cni.vf"),
        ("CNI_ARGS", errors.INVALID_ENVIRONMENT, "CNI_ARGS vf"),
        ("configuration", errors.INVALID_CONFIGURATION, "vf"),
    ],
)
@pytest.mark.parametrize("value", ["one", "-1", "1.0", "0x1", "9" * 30, "65535"])
def test_a_wrong_request_is_refused_by_the_place_it_was_made_in(
    place: str, code: int, named: str, value: str
) -> None:
    with pytest.raises(CniError) as caught:
        configuration.parse(asking("vf", {place: value}))
    assert (caught.value.code, caught.value.msg) == (code, f"invalid {named}")


@pytest.mark.parametrize("config", [{"runtimeConfig": []}, {"args": "VF=1"}, {"args": {"cni": 1}}])
def test_a_place_of_the_wrong_type_is_refused(config: JsonObject) -> None:
    with pytest.raises(CniError, match="an object") as caught:
        configuration.parse(call(**config))
    assert caught.value.code == errors.INVALID_CONFIGURATION

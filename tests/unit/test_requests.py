# SPDX-License-Identifier: Apache-2.0
"""What an attachment asks for: CNI_ARGS, who is heard, and who wins."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_cni.attachment import configuration
from sriov_cni.cni import errors
from sriov_cni.cni.call import Call, read
from sriov_cni.cni.document import JsonObject
from sriov_cni.cni.errors import CniError
from tests.values import VALUES


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
    assert call(args).arguments == (args, meaning)


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
REQUESTS = ["vlan", "vf", "deviceID"]


def asking(key: str, values: dict[str, object], requests: object = REQUESTS) -> Call:
    """Return a call that asks for `key` in some of PLACES."""
    config: JsonObject = {"requests": requests}
    if "runtimeConfig" in values:
        config["runtimeConfig"] = {key: values["runtimeConfig"]}
    if "args.cni" in values:
        config["args"] = {"cni": {key: values["args.cni"]}}
    if "configuration" in values:
        config[key] = values["configuration"]
    return call(f"{key.upper()}={values['CNI_ARGS']}" if "CNI_ARGS" in values else "", **config)


def in_force(call: Call) -> dict[str, object]:
    """Return what requests are about, as the plugin takes it."""
    wanted = configuration.parse(call)
    return {
        "vf": wanted.vf,
        "vlan": wanted.attributes.vlan,
        "mac": wanted.attributes.mac,
        "deviceID": wanted.device_id,
    }


def refusal(call: Call) -> CniError:
    with pytest.raises(CniError) as caught:
        configuration.parse(configuration.respelt(call))
    return caught.value


def values_of(key: str) -> list[object]:
    """Return four different values for PLACES."""
    written = {"mac": mac, "deviceID": lambda number: f"0000:01:10.{number}"}
    return [written.get(key, int)(number) for number in range(4)]


@pytest.mark.parametrize("key", ["vf", "vlan", "mac"])
def test_runtime_config_outranks_all_others(key: str) -> None:
    values = values_of(key)
    asked = asking(key, dict(zip(PLACES, values, strict=True)))
    assert in_force(asked)[key] == values[0]


@pytest.mark.parametrize("key", ["vf", "vlan", "mac"])
@pytest.mark.parametrize("strongest", [1, 2, 3], ids=PLACES[1:])
def test_the_strongest_request_fills_in_what_the_configuration_leaves_open(
    key: str, strongest: int
) -> None:
    values = values_of(key)
    places = PLACES[strongest:3] or PLACES[3:]
    asked = asking(key, dict(zip(places, values[strongest:], strict=False)))
    assert in_force(asked)[key] == values[strongest]


@pytest.mark.parametrize("key", ["vf", "vlan", "mac"])
@pytest.mark.parametrize("place", ["args.cni", "CNI_ARGS"])
def test_a_request_for_another_value_than_the_configurations_is_refused(
    key: str, place: str
) -> None:
    values = values_of(key)
    error = refusal(asking(key, {place: values[1], "configuration": values[0]}))
    where = f"{place}." if place == "args.cni" else f"{place} "
    assert (error.code, error.msg) == (errors.INVALID_CONFIGURATION, f"invalid {where}{key}")
    assert f"{where}{key} is {json.dumps(values[1])}" in error.details
    assert f"the network's {key} is {json.dumps(values[0])}" in error.details


@pytest.mark.parametrize(
    ("key", "here", "there"),
    [
        ("vlan", 0, 0),
        ("vf", 1, 1),
        ("mac", "66-D8-02-77-AA-0A", "66:d8:02:77:aa:0a"),
        ("mac", "66d8.0277.aa0a", "66:D8:02:77:AA:0A"),
        ("deviceID", "0000:0A:10.0", "0000:0a:10.0"),
    ],
)
def test_asking_for_what_the_configuration_has_is_no_contradiction(
    key: str, here: object, there: object
) -> None:
    asked = asking(key, {"args.cni": here, "configuration": there})
    assert in_force(asked)[key] == in_force(asking(key, {"configuration": there}))[key]


@pytest.mark.parametrize("text", ["100", "0100"])
def test_a_number_in_cni_args_is_compared_as_a_number(text: str) -> None:
    assert in_force(asking("vlan", {"CNI_ARGS": text, "configuration": 100}))["vlan"] == 100


@pytest.mark.parametrize("holder", ["runtimeConfig", "configuration"])
@pytest.mark.parametrize("alias", ["deviceID", "pciBusID"])
def test_the_device_plugins_choice_is_never_overridden(holder: str, alias: str) -> None:
    """Multus writes it into the configuration, under both names, and into runtimeConfig."""
    chosen = {"deviceID": "0000:01:10.1", "pciBusID": "0000:01:10.1"}
    config = chosen if holder == "configuration" else {holder: chosen}
    pod = {"args": {"cni": {alias: "0000:01:10.7"}}}
    assert in_force(call(**config, **pod))["deviceID"] == "0000:01:10.1"
    error = refusal(call(**config, **pod, requests=["deviceID"]))
    assert error.code == errors.INVALID_CONFIGURATION
    assert "0000:01:10.7" in error.details
    assert f'{"the network" if config is chosen else holder}\'s deviceID is "0000:01:10.1"' in str(
        error
    )


def test_runtime_config_chooses_another_device_than_the_configuration() -> None:
    values: dict[str, object] = {"runtimeConfig": "0000:01:10.1", "configuration": "0000:01:10.2"}
    assert in_force(asking("deviceID", values))["deviceID"] == "0000:01:10.1"


POD = {"vlan": 4000, "vf": 3, "deviceID": "0000:01:10.7", "pciBusID": "0000:01:10.7"}


@pytest.mark.parametrize("listed", [None, [], ["mac", "ips"]])
@pytest.mark.parametrize("given", [{}, {"vlan": 100, "vf": 1, "deviceID": "0000:01:10.1"}])
def test_what_a_pod_asks_for_unlisted_is_not_heard_but_told(
    listed: object, given: JsonObject, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = call(**given, requests=listed, args={"cni": {**POD, "mac": mac(1)}})
    assert in_force(asked) == {**in_force(call(**given)), "mac": mac(1)}
    told = capfd.readouterr().err
    for key, value in POD.items():
        assert f"args.cni.{key} {json.dumps(value)} is not heard" in told
    assert told.count("does not list it under requests") == len(POD)


@pytest.mark.parametrize("key", ["vlan", "vf", "deviceID", "pciBusID"])
def test_what_a_network_lists_is_heard_and_nothing_else(key: str) -> None:
    listed = "deviceID" if key == "pciBusID" else key
    heard = in_force(call(requests=[listed], args={"cni": POD}))
    assert heard == {**in_force(call()), listed: POD[key]}


@pytest.mark.parametrize("key", ["VLAN", "Vlan", "VF", "deviceId", "DEVICEID", "pcibusid"])
def test_a_pods_keys_have_a_case(key: str) -> None:
    pod = {"args": {"cni": {key: "0000:01:10.7" if "d" in key.lower() else 7}}}
    assert in_force(call(**pod, requests=REQUESTS)) == in_force(call())


def test_the_networks_keys_are_known_in_any_case_before_a_request_is_compared() -> None:
    error = refusal(call(VLAN=100, Requests=["vlan"], args={"cni": {"vlan": 4000}}))
    assert "the network's vlan is 100" in error.details


@pytest.mark.parametrize("nothing", [None, "", []])
def test_what_a_pod_leaves_empty_is_not_asked_for(nothing: object) -> None:
    pod = {"args": {"cni": dict.fromkeys(POD, nothing)}}
    for listed in ([], REQUESTS):
        assert in_force(call(vlan=100, vf=1, requests=listed, **pod))["vlan"] == 100


@pytest.mark.parametrize("value", [True, False, 1.0, "100", [100], {"vlan": 100}])
def test_a_listed_request_has_the_type_of_its_key(value: object) -> None:
    error = refusal(asking("vlan", {"args.cni": value}, ["vlan"]))
    assert (error.code, error.msg) == (errors.INVALID_CONFIGURATION, "invalid args.cni.vlan")


@pytest.mark.parametrize("stronger", ["runtimeConfig", "args.cni", "configuration"])
def test_an_invalid_request_is_refused_where_it_would_lose(stronger: str) -> None:
    for key in ("vlan", "vf", "mac"):
        error = refusal(asking(key, {stronger: values_of(key)[1], "CNI_ARGS": "x"}))
        assert (error.code, error.msg) == (errors.INVALID_ENVIRONMENT, f"invalid CNI_ARGS {key}")


@pytest.mark.parametrize(
    ("listed", "named"),
    [
        (["vlan", "vlanQoS"], '"vlanQoS"'),
        (["pciBusID"], '"pciBusID"'),
        (["VLAN"], '"VLAN"'),
        ([""], '""'),
        (["vlan", 1], "a list of strings"),
        ("vlan", "a list of strings"),
        (True, "a list of strings"),
        ({"vlan": True}, "a list of strings"),
    ],
)
def test_requests_lists_nothing_else(listed: object, named: str) -> None:
    error = refusal(call(requests=listed))
    assert (error.code, error.msg) == (errors.INVALID_CONFIGURATION, "invalid requests")
    assert named in error.details


@pytest.mark.parametrize("arguments", ["VLAN=100;VF=1", "vlan=100;vf=1;K8S_POD_NAME=VLAN"])
def test_the_runtimes_arguments_need_no_list(arguments: str) -> None:
    heard = in_force(call(arguments))
    assert (heard["vlan"], heard["vf"]) == (100, 1)


@pytest.mark.parametrize("command", ["DEL", "GC"])
def test_what_takes_down_does_not_ask_who_is_heard(command: str) -> None:
    wrong: JsonObject = {"requests": "vlan", "args": [], "runtimeConfig": 1}
    environment = {"CNI_CONTAINERID": "pod", "CNI_IFNAME": "net1", "CNI_PATH": "/opt/cni/bin"}
    read_call = read(command, environment, {"name": "mynet", **wrong}, "1.1.0")
    assert configuration.state_directory(read_call.fields)


networks = st.fixed_dictionaries(
    {},
    optional={
        "vlan": st.sampled_from([None, 0, 100]),
        "vf": st.sampled_from([None, 0, 1]),
        "deviceID": st.sampled_from(["", "0000:01:10.1"]),
        "pciBusID": st.sampled_from(["", "0000:01:10.2"]),
        "mac": st.sampled_from(["", mac(1)]),
        "runtimeConfig": st.sampled_from([{"deviceID": "0000:01:10.3", "mac": mac(2)}, {}]),
    },
)
pods = st.dictionaries(
    st.sampled_from(["vlan", "vf", "deviceID", "pciBusID", "VLAN", "requests", "args", "cni"]),
    st.sampled_from([*VALUES, 4000, 3, "0000:01:10.7", {"vlan": 4000}]),
)
lists = st.lists(st.sampled_from([*REQUESTS, "mac", "ips"]))


@given(networks, pods, lists, st.sampled_from(["", "VLAN=200", "VF=2", "VF=2;VLAN=200"]))
def test_no_pod_changes_what_is_not_listed_or_not_open(
    network: JsonObject, pod: JsonObject, listed: list[str], arguments: str
) -> None:
    alone = outcome(call(arguments, **network, requests=listed))
    beside = outcome(call(arguments, **network, requests=listed, args={"cni": pod}))
    if isinstance(alone, int) or isinstance(beside, int):
        assert isinstance(beside, int), "a pod cures nothing"
        asked = {key.replace("pciBusID", "deviceID") for key in pod} & set(listed)
        assert beside == (errors.INVALID_CONFIGURATION if asked else alone)
        return
    left_open = {key for key, value in in_force(call(**network)).items() if value is None}
    assert {key for key in alone if alone[key] != beside[key]} <= left_open & set(listed)


def outcome(call: Call) -> dict[str, object] | int:
    """Return what is in force, or the code of the refusal."""
    try:
        return in_force(call)
    except CniError as error:
        return error.code


@pytest.mark.parametrize("key", ["vf", "vlan"])
@pytest.mark.parametrize("place", PLACES)
def test_zero_is_a_request_like_any_other(key: str, place: str) -> None:
    assert in_force(asking(key, {place: 0}))[key] == 0


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

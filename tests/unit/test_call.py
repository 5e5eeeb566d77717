# SPDX-License-Identifier: Apache-2.0
"""A call is validated as the specification's execution protocol has it, variable by variable."""

import pytest

from sriov_cni.cni import errors
from sriov_cni.cni.call import COMMANDS, Call, command_of, read
from sriov_cni.cni.document import JsonObject
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.names import LONGEST_IDENTIFIER
from sriov_cni.cni.owner import Owner

ENVIRONMENT = {
    "CNI_CONTAINERID": "b7c1_Ff.0-9",
    "CNI_NETNS": "/run/netns/pod",
    "CNI_IFNAME": "net1",
    "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
    "CNI_ARGS": "IgnoreUnknown=1",
}
REQUIRED = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
    "GC": ("CNI_PATH",),
}


def call(command: str, config: JsonObject | None = None, /, **environment: str) -> Call:
    return read(command, ENVIRONMENT | environment, config or {"name": "mynet"}, "1.1.0")


def refusal(command: str, config: JsonObject | None = None, /, **environment: str) -> CniError:
    with pytest.raises(CniError) as caught:
        call(command, config, **environment)
    return caught.value


@pytest.mark.parametrize("command", COMMANDS)
def test_the_specifications_commands_are_commands(command: str) -> None:
    assert command_of({"CNI_COMMAND": command}) == command


@pytest.mark.parametrize("command", ["", "add", "ADD ", "UPDATE", "ADD\n", "ÄDD"])
def test_anything_else_is_no_command(command: str) -> None:
    with pytest.raises(CniError, match="CNI_COMMAND") as caught:
        command_of({"CNI_COMMAND": command})
    assert caught.value.code == errors.INVALID_ENVIRONMENT


def test_a_call_without_command_says_who_executes_plugins() -> None:
    with pytest.raises(CniError, match="executed by a container runtime"):
        command_of({})


@pytest.mark.parametrize(
    ("command", "variable"), [(c, variable) for c in REQUIRED for variable in REQUIRED[c]]
)
@pytest.mark.parametrize("given", ["empty", "absent"])
def test_a_required_variable_must_be_set(command: str, variable: str, given: str) -> None:
    environment = {key: value for key, value in ENVIRONMENT.items() if key != variable}
    if given == "empty":
        environment[variable] = ""
    with pytest.raises(CniError, match=variable) as caught:
        read(command, environment, {"name": "mynet"}, "1.1.0")
    assert caught.value.code == errors.INVALID_ENVIRONMENT


@pytest.mark.parametrize("command", [*REQUIRED, "STATUS"])
def test_a_variable_the_command_does_not_require_may_be_absent(command: str) -> None:
    environment = {key: ENVIRONMENT[key] for key in REQUIRED.get(command, ())}
    assert read(command, environment, {"name": "mynet"}, "1.1.0").command == command


def test_add_is_about_an_interface_of_a_container_in_a_namespace() -> None:
    assert (call("ADD").owner, call("ADD").netns) == (
        Owner("b7c1_Ff.0-9", "net1"),
        "/run/netns/pod",
    )


@pytest.mark.parametrize("command", ["GC", "STATUS"])
def test_gc_and_status_are_about_no_container(command: str) -> None:
    assert call(command, CNI_CONTAINERID="../..").owner == Owner("", "")


WRONG_VALUES = {
    "CNI_CONTAINERID": [
        "-a",
        "_a",
        ".a",
        "..",
        "../a",
        "a/b",
        "a b",
        "a\n",
        "a,b",
        "é",
        "a" * (LONGEST_IDENTIFIER + 1),
    ],
    "CNI_IFNAME": [
        *(".", "..", "a/b", "a:b", "a b", "a\tb", "a\n", "a\u00a0b", "a\x7f", "\udcff"),
        *("sixteen_letters_", "éééééééé"),
    ],
    "CNI_ARGS": ["VF", "VF=1;MAC", "=1", " =1", "IP:10.0.0.5"],
}


@pytest.mark.parametrize(
    ("variable", "value"), [(key, value) for key in WRONG_VALUES for value in WRONG_VALUES[key]]
)
@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_a_wrong_value_is_refused_by_its_variables_name(
    command: str, variable: str, value: str
) -> None:
    error = refusal(command, **{variable: value})
    assert (error.code, error.msg) == (errors.INVALID_ENVIRONMENT, f"invalid {variable}")


@pytest.mark.parametrize("name", ["a", "net1", "eth0.100", "fifteen_letters", "ééééééé", "@,;!"])
def test_an_interface_may_be_called_what_the_kernel_allows(name: str) -> None:
    assert call("ADD", CNI_IFNAME=name).owner.ifname == name


@pytest.mark.parametrize("name", ["mynet", "0", "A.b_c-d", "n" * LONGEST_IDENTIFIER])
def test_a_network_may_be_called_what_the_specification_allows(name: str) -> None:
    assert call("ADD", {"name": name}).network == name


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC", "STATUS"])
@pytest.mark.parametrize(
    "name", [None, "", 1, True, [], "-", "a/b", "..", "a b", "n" * (LONGEST_IDENTIFIER + 1)]
)
def test_any_other_network_name_is_an_invalid_configuration(command: str, name: object) -> None:
    error = refusal(command, {"name": name})
    assert (error.code, error.msg) == (errors.INVALID_CONFIGURATION, "invalid name")


def test_gc_keeps_the_attachments_on_the_runtimes_list() -> None:
    listed = [{"containerID": "pod-a", "ifname": "net1"}, {"containerID": "pod-b", "ifname": "x"}]
    config = {"name": "mynet", "cni.dev/valid-attachments": listed}
    assert call("GC", config).valid_attachments() == {("pod-a", "net1"), ("pod-b", "x")}


def test_an_empty_list_keeps_nothing() -> None:
    config = {"name": "mynet", "cni.dev/valid-attachments": []}
    assert call("GC", config).valid_attachments() == frozenset()


@pytest.mark.parametrize("listed", [None, {}, "pod-a", ["pod-a"], [{"containerID": 1}]])
def test_anything_but_a_list_of_attachments_keeps_nobody_from_harm(listed: object) -> None:
    config = {"name": "mynet", "cni.dev/valid-attachments": listed}
    with pytest.raises(CniError, match="valid-attachments") as caught:
        call("GC", config).valid_attachments()
    assert caught.value.code == errors.INVALID_CONFIGURATION

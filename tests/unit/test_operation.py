# SPDX-License-Identifier: Apache-2.0
"""The line of an operation: what is in it, when there is one, and what never gets into it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_cni.cni import log, operation
from sriov_cni.cni.call import COMMANDS
from sriov_cni.cni.errors import CniError
from tests.plugin import Plugin
from tests.unit.executable import FIXIPAM, SRIOV, execute
from tests.unit.loglines import VALUES, values_of
from tests.unit.network import Network

ENVIRONMENT = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "6a1e",
    "CNI_IFNAME": "net1",
    "CNI_NETNS": "/run/netns/pod",
    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;TOKEN=secret",
    "CNI_PATH": "/opt/cni/bin",
}
CONFIG = {"name": "red", "type": "sriov", "master": "eth1", "password": "secret"}
ERROR = CniError(11, "no free VF on eth1", 'all "2" VFs are in use')
REQUEST = "command=ADD network=red container=6a1e pod=default/web-0 interface=net1"


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    """Leave the log as a process finds it."""
    yield
    log.configure("info", None)
    log.note("", None, "")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operation") / "log"


def written(
    path: Path,
    environment: dict[str, str] = ENVIRONMENT,
    config: dict[str, Any] = CONFIG,
    error: CniError | None = None,
    how: str = "text",
) -> str:
    """Return the line of an operation that took 12 ms, without its end."""
    path.unlink(missing_ok=True)
    log.configure("info", str(path), how)
    operation.write(environment, config, 0.0123, error)
    text = path.read_text()
    assert text.count("\n") == 1
    return text.rstrip("\n")


def test_an_operation_has_one_line(path: Path) -> None:
    log.note("eth1", 0, "0000:03:10.0")
    line = written(path)
    assert " info " in line
    device = "pf=eth1 vf=0 pci=0000:03:10.0"
    assert line.endswith(f"]: {REQUEST} {device} duration=12ms outcome=ok")


def test_a_pf_has_no_index(path: Path) -> None:
    log.note("eth1", None, "0000:03:00.0")
    assert " pf=eth1 pci=0000:03:00.0 " in written(path)


def test_a_failure_has_code_and_text(path: Path) -> None:
    line = written(path, error=ERROR)
    assert " error " in line
    said = 'msg="no free VF on eth1" details="all \\"2\\" VFs are in use"'
    assert line.endswith(f"{REQUEST} duration=12ms outcome=error code=11 {said}")


def test_json_has_the_same_keys_and_values(path: Path) -> None:
    log.note("eth1", 3, "0000:03:10.6")
    text = values_of(written(path, error=ERROR))
    found = values_of(written(path, error=ERROR, how="json"))
    assert list(found) == list(text)
    assert {key: str(value) for key, value in found.items()} == text
    assert (found["vf"], found["code"]) == (3, 11)


@pytest.mark.parametrize("command", ["GC", "STATUS"])
def test_what_is_about_no_attachment_names_none(path: Path, command: str) -> None:
    log.note("eth1", 3, "0000:03:10.6")
    line = written(path, {**ENVIRONMENT, "CNI_COMMAND": command})
    assert line.endswith(f"]: command={command} network=red duration=12ms outcome=ok")


@pytest.mark.parametrize(
    ("args", "pod"),
    [
        ("", None),
        ("K8S_POD_NAME=web-0", "web-0"),
        ("k8s_pod_namespace=a;K8S_POD_NAME=b c", "a/b c"),
        ("nonsense", None),
    ],
)
def test_a_pod_has_the_name_that_the_runtime_gave(path: Path, args: str, pod: str | None) -> None:
    assert values_of(written(path, {**ENVIRONMENT, "CNI_ARGS": args})).get("pod") == pod


names = st.text(st.characters(exclude_characters="\0"), max_size=30)


@given(st.sampled_from(COMMANDS[:-1]), names, names, names, VALUES, names, names)
def test_nothing_asked_for_forges_a_key_or_a_line(
    path: Path, command: str, container: str, ifname: str, args: str, name: Any, msg: str, more: str
) -> None:
    given = {"CNI_CONTAINERID": container, "CNI_IFNAME": ifname}
    given["CNI_ARGS"] = f"K8S_POD_NAME={args}"
    environment = {**ENVIRONMENT, **given, "CNI_COMMAND": command}
    line = values_of(written(path, environment, {"name": name}, CniError(7, msg, more)))
    assert (line["command"], line["outcome"], line["code"]) == (command, "error", "7")
    assert (line.get("msg", ""), line.get("details", "")) == (msg, more)
    if command in ("ADD", "DEL", "CHECK"):
        assert (line.get("container", ""), line.get("interface", "")) == (container, ifname)


def test_a_value_without_end_ends(path: Path) -> None:
    assert len(written(path, config={"name": "x" * 100_000})) < 1000


def test_nothing_else_of_the_call_gets_into_the_log(path: Path) -> None:
    for how in log.FORMATS:
        assert "secret" not in written(path, error=ERROR, how=how)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return what a log of JSON has, and begin it anew."""
    text = path.read_text()
    path.unlink()
    return [json.loads(line) for line in text.splitlines()]


def test_both_plugins_tell_of_a_call_that_is_refused_before_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "log"
    config = {"cniVersion": "1.1.0", "name": "red", "logFile": str(path), "logFormat": "json"}
    for plugin in (SRIOV, FIXIPAM):
        outcome = plugin("ADD", config, ifname="net/1", netns="/run/netns/pod")
        assert (outcome.code, outcome.stderr) == (4, "")
        (line,) = lines(path)
        assert (line["command"], line["interface"], line["code"]) == ("ADD", "net/1", 4)
        assert (line["level"], line["msg"]) == ("error", "invalid CNI_IFNAME")


def test_fixipam_tells_of_its_operations_where_it_is_executed(
    tmp_path: Path, network: Network
) -> None:
    path = tmp_path / "log"
    keys = {"logFile": str(path), "logFormat": "json"}
    for command in ("ADD", "DEL", "STATUS", "VERSION"):
        outcome = network.start(command, "pod", "10.55.206.46", **keys).outcome()
        assert (outcome.status, outcome.stderr) == (0, "")
    assert [line["command"] for line in lines(path)] == ["ADD", "DEL", "STATUS"]


@pytest.mark.parametrize("plugin", [SRIOV, FIXIPAM])
def test_stderr_hears_of_operations_only_at_debug(plugin: Plugin) -> None:
    config = {"cniVersion": "1.1.0", "name": "red"}
    assert plugin("ADD", config, ifname="net/1", netns="/x").stderr == ""
    told = plugin("ADD", config | {"logLevel": "debug"}, ifname="net/1", netns="/x").stderr
    assert values_of(told)["code"] == "4"


def test_a_level_silences_operations(tmp_path: Path, network: Network) -> None:
    path = tmp_path / "log"
    assert network.delete("pod", logFile=str(path), logLevel="warning").status == 0
    assert not path.exists()


def test_an_answer_that_nobody_gets_is_a_failure(tmp_path: Path, network: Network) -> None:
    path = tmp_path / "log"
    config = {**network.keys, "ipam": network.ipam, "logFile": str(path), "logFormat": "json"}
    shell = ("sh", "-c", 'exec "$0" -m ipam >/dev/full', sys.executable)
    environment = {**ENVIRONMENT, "CNI_ARGS": "IP=10.55.206.46"}
    process = execute(*shell, environment=environment, stdin=json.dumps(config).encode())
    assert process.returncode == 1
    (line,) = lines(path)
    assert (line["outcome"], line["msg"]) == ("error", "cannot write the answer")

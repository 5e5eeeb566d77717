# SPDX-License-Identifier: Apache-2.0
"""Inputs that once broke a rule of tests/hostile/execution.py, judged one by one."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from sriov_cni.kernel.sysfs import boot_id
from tests.hostile import sandbox
from tests.hostile.case import Case, environment
from tests.hostile.targets.configurations import PREVIOUS
from tests.hostile.targets.records import RECORD
from tests.hostile.targets.requests import NETWORK
from tests.hostile.targets.trees import TREE
from tests.networks import L2
from tests.plugin import Document


def case(command: str, config: Document, *more: bytes, **variables: str) -> Case:
    return Case(environment(command, **variables), json.dumps(config).encode(), more)


def recorded(name: str, **changes: object) -> tuple[bytes, bytes]:
    """Return the parts of a case for a record, some of it changed."""
    return name.encode() + b"\0", json.dumps(RECORD | changes).encode()


_POOL: Document = {"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5", "rangeEnd": "10.1.0.9"}
_DEEP: Document = json.loads('{"a":' * 63 + "{}" + "}" * 63)
FOUND: dict[str, dict[str, Case]] = {
    "configurations": {
        "a device that is on no bus": case("ADD", L2 | {"pfOnly": True, "master": "lo"}),
        "a netns that is no text": Case(
            environment("ADD") | {b"CNI_NETNS": b"/run/netns/pod/../\xff/../pod"},
            json.dumps(L2).encode(),
        ),
        "arguments that are no text": Case(
            environment("ADD") | {b"CNI_ARGS": b"K8S_POD_NAME=\xff"}, json.dumps(L2).encode()
        ),
        "the deepest configuration": case("ADD", L2 | {"x": _DEEP["a"]}),
        "a netns of 5000 bytes": case("ADD", L2, CNI_NETNS="/" + "x" * 5000),
        "a state directory by way of another": case(
            "GC", L2 | {"dataDir": "/var/lib/cni/missing/../elsewhere"}, BEFORE="ADD"
        ),
        "a gateway of the other family": case(
            "ADD",
            L2
            | {"ipam": {"type": "fixipam", "routes": [{"dst": "::/0", "gw": "10.1.0.1"}], **_POOL}},
        ),
    },
    "requests": {
        "a lease of no address": case(
            "ADD", NETWORK | {"ipam": _POOL}, b"no-address,pod,net1", CNI_ARGS=""
        ),
        "a lease whose name is no text": case(
            "GC",
            NETWORK | {"ipam": _POOL, "cni.dev/valid-attachments": []},
            b"10\xff.1.0.4,other,net1",
        ),
    },
    "records": {
        "a function that no device has": case(
            "DEL", L2, *recorded("0000:01:10.f,pod,net1", function={"address": "0000:01:10.f"})
        ),
        "a function elsewhere": case(
            "DEL",
            L2,
            *recorded("returned,pod,net1", function={"pf": "", "vf": 0, "address": "../../../x"}),
        ),
        "a network elsewhere": case(
            "DEL", L2, *recorded("returned,pod,net1", network="../..", boot="", config=NETWORK)
        ),
        "a configuration that is none": case(
            "DEL", L2, *recorded("0000:01:10.0,pod,net1", config=[])
        ),
        "arguments with NUL": case(
            "DEL",
            L2 | {"prevResult": PREVIOUS},
            *recorded("returned,pod,net1", arguments="\0", config={"ipam": {"type": "x"}}),
        ),
        "a MAC that is none": case(
            "DEL",
            L2,
            *recorded(
                "0000:01:10.0,pod,net1",
                boot=boot_id(),
                before={"device": RECORD["before"]["device"] | {"mac": 1}, "attributes": None},
            ),
        ),
        "a name that is too long": case(
            "DEL",
            L2,
            *recorded(
                "0000:01:10.0,pod,net1",
                before={
                    "device": RECORD["before"]["device"] | {"alternative_names": ["x" * 70000]},
                    "attributes": None,
                },
            ),
        ),
    },
    "trees": {
        "a VF that is no PCI device": case(
            "ADD",
            L2,
            json.dumps(TREE | {"bus/pci/devices/0000:01:00.0/virtfn0": {"to": ".."}}).encode(),
            CNI_ARGS="",
        ),
        "a device on another bus": case(
            "ADD",
            L2 | {"pfOnly": True},
            json.dumps(TREE | {"class/net/eth1/device": {"to": "../../../virtio0"}}).encode(),
            CNI_ARGS="",
        ),
        "a name that is no text": case(
            "ADD",
            L2,
            json.dumps(TREE | {"bus/pci/devices/0000:01:10.0/net": ["\udcff"]}).encode(),
            CNI_ARGS="",
        ),
    },
}


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What was wrong with which case, by "target: case"."""
    found: dict[str, list[str]] = defaultdict(list)
    for target, cases in FOUND.items():
        directory = Path(tmp_path_factory.mktemp(target))
        for name, one in cases.items():
            (directory / name).write_bytes(one.encode())
        files = sorted(map(str, directory.iterdir()))
        process = sandbox.run(str(directory), "tests.hostile.replay", target, *files)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        for line in output.splitlines():
            name, _, problem = line.partition(": ")
            found[f"{target}: {name}"].append(problem)
    return found


@pytest.mark.parametrize(
    "name",
    [f"{target}: {name}" for target in FOUND for name in FOUND[target]],
)
def test_what_once_broke_a_rule_breaks_it_no_more(
    problems: dict[str, list[str]], name: str
) -> None:
    assert problems.get(name) is None

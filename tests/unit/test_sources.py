# SPDX-License-Identifier: Apache-2.0
"""The device plugin's own file and the node's files are one configuration, and spare each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from sriov_node.device_plugin import sources
from sriov_node.device_plugin.configuration import Configuration

NODE, FIRST, SECOND = "node.json", "node.d/10-first.json", "node.d/20-second.json"
NO_LIST = "resources is 3, it must be a list of resources, [] for none"
NO_SELECTORS = "selectors is missing, it must be an object or a list of objects"


class Files:
    """The device plugin's own file, and beside it the node's files, none at first."""

    def __init__(self, directory: Path) -> None:
        self.own = directory / "config.json"
        self.node = directory / "sriov"
        (self.node / "node.d").mkdir(parents=True)

    def configure(self, *resources: object) -> None:
        self.own.write_text(json.dumps({"resourceList": resources}))

    def want(self, name: str, *resources: object, **keys: object) -> None:
        self.write(name, json.dumps({"resources": resources, **keys}))

    def write(self, name: str, content: str) -> None:
        (self.node / name).write_text(content)

    def read(self) -> Configuration:
        return sources.read_all(str(self.own), str(self.node), "intel.com")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def named(name: str, **keys: object) -> dict[str, Any]:
    """Return a resource without a fault."""
    return {"resourceName": name, "selectors": {}, **keys}


def names(found: Configuration) -> list[str]:
    return [resource.short_name for resource in found.resources]


def faults(found: Configuration) -> list[str]:
    return list(map(str, found.faults))


def test_all_files_add_up_in_one_order(files: Files) -> None:
    files.want(SECOND, named("e"))
    files.want(FIRST, named("d"))
    files.want(NODE, named("b"), named("c"))
    files.configure(named("a"))
    found = files.read()
    assert [resource.name for resource in found.resources] == [f"intel.com/{n}" for n in "abcde"]
    assert (found.faults, found.warnings) == ((), ())


def test_what_a_node_file_wants_of_cards_is_none_of_the_device_plugins_business(
    files: Files,
) -> None:
    files.configure(named("a"))
    files.write(NODE, json.dumps({"functions": 3, "modules": ["x"], "reconcile": "?", "other": 1}))
    found = files.read()
    assert names(found) == ["a"]
    assert (found.faults, found.warnings) == ((), ())  # the preparation tells


def test_what_is_odd_is_told_with_its_place(files: Files) -> None:
    files.configure(named("a", xyz=1))
    files.want(NODE, named("b", xyz=2))
    assert files.read().warnings == (
        "resourceList[0]: key xyz is unknown and ignored",
        f"{files.node}/node.json: resources[0]: key xyz is unknown and ignored",
    )


@pytest.mark.parametrize(
    ("content", "own_is_missed"),
    [("", True), ('{"resources": []}', False), ('{"functions": []}', False), ("{", False)],
)
def test_the_own_file_is_missed_only_where_the_node_has_no_file(
    files: Files, content: str, own_is_missed: bool
) -> None:
    if content:
        files.write(NODE, content)
    is_missing = f"configuration {files.own} is missing"
    assert any(fault.startswith(is_missing) for fault in faults(files.read())) is own_is_missed


@pytest.mark.parametrize(
    ("first", "second"), [("own", NODE), (NODE, FIRST), (FIRST, SECOND), ("own", SECOND)]
)
def test_one_name_twice_is_a_fault_that_names_both_places(
    files: Files, first: str, second: str
) -> None:
    if first == "own":
        files.configure(named("other"), named("twice"))
    else:
        files.want(first, named("other"), named("twice", allocation="packed"))
    files.want(second, named("twice"), named("last"))
    place = str(files.own) if first == "own" else f"{files.node}/{first}"
    found = files.read()
    assert names(found) == ["other", "twice", "last"]
    (fault,) = faults(found)
    assert fault.startswith(f'{files.node}/{second}: resources[0]: resourceName is "twice", it ')
    assert place in fault
    assert fault.endswith("which is intel.com/twice, too")


def test_one_name_with_two_prefixes_is_two_resources(files: Files) -> None:
    files.configure(named("a"))
    files.want(NODE, named("a", resourcePrefix="example.com"))
    found = files.read()
    assert [resource.name for resource in found.resources] == ["intel.com/a", "example.com/a"]
    assert found.faults == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "is [], it must be a JSON object"),
        ('{"resources": 3}', NO_LIST),
        ('{"resources": [3]}', "resource is 3, it must be an object with resourceName"),
        ('{"resources": [{"resourceName": "bad"}]}', f"intel.com/bad: {NO_SELECTORS}"),
    ],
)
@pytest.mark.parametrize("name", [NODE, FIRST, SECOND])
def test_a_faulty_file_spares_the_others(files: Files, name: str, content: str, says: str) -> None:
    files.configure(named("own"))
    for number, other in enumerate((NODE, FIRST, SECOND)):
        files.want(other, named(f"{number}"))
    files.write(name, content)
    found = files.read()
    assert names(found) == ["own", *(str(n) for n in range(3) if (NODE, FIRST, SECOND)[n] != name)]
    (fault,) = faults(found)
    assert says in fault
    assert name in fault or fault.startswith("intel.com/bad: ")


def test_a_faulty_resource_spares_the_others_of_its_file(files: Files) -> None:
    files.want(NODE, named("a"), {"resourceName": "bad"}, named("b"))
    found = files.read()
    assert names(found) == ["a", "b"]
    assert [fault.resource for fault in found.faults] == ["intel.com/bad"]


def test_a_faulty_own_file_spares_the_nodes_files(files: Files) -> None:
    files.own.write_text("{")
    files.want(NODE, named("a"))
    found = files.read()
    assert names(found) == ["a"]
    assert faults(found)[0].startswith("configuration is not JSON")


@pytest.mark.parametrize(
    "slip", ["{", '{"resources": 3}', '{"resources": [{"resourceName": "a"}]}']
)
@pytest.mark.parametrize("name", [NODE, FIRST])
def test_a_slip_takes_no_resource_away(files: Files, name: str, slip: str) -> None:
    files.configure(named("own"))
    files.want(name, named("a", allocation="packed"))
    before = files.read()
    files.write(name, slip)
    kept = sources.without_regress(before, files.read())
    assert kept.resources == before.resources
    assert kept.faults != ()
    files.want(name)
    assert names(sources.without_regress(kept, files.read())) == ["own"]


def test_a_slip_in_one_resource_keeps_no_other_that_is_not_wanted_any_more(files: Files) -> None:
    files.want(NODE, named("a"), named("b"))
    before = files.read()
    files.want(NODE, {"resourceName": "a"})
    assert names(sources.without_regress(before, files.read())) == ["a"]

# SPDX-License-Identifier: Apache-2.0
"""`sriovctl import`: what a node's file is made of, and what is said of the rest."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from sriov_node.device_plugin import configuration as device_plugin
from sriov_node.fields import Findings
from sriov_node.node_file import LARGEST, NodeFile, NodeFiles
from sriov_node.preparation import configuration
from sriov_node.preparation.facts import Facts, Pf, Vf
from sriov_node.preparation.plan import plan
from sriov_node.preparation.step import Action
from sriov_node.preparation.wanted import Eswitch, WantedNode
from sriovctl.__main__ import main
from sriovctl.importing import documents, from_node, policy
from sriovctl.importing.command import import_command
from sriovctl.importing.policies import for_node
from sriovctl.importing.result import checked
from tests.sysfs import Tree
from tests.values import VALUES

ENS1F0, ENS1F1 = "0000:3b:00.0", "0000:3b:00.1"
PFS = (
    Pf(ENS1F0, "8086", "1592", ("ens1f0", "uplink"), total_vfs=64),
    Pf(ENS1F1, "8086", "1592", ("ens1f1",), total_vfs=64),
    Pf("0000:5e:00.0", "15b3", "1017", ("ens2",), total_vfs=16),
)
NAMED = {"pfNames": ["ens1f0"]}


def wanted_by(value: Any) -> WantedNode:
    return configuration.wanted_by(NodeFiles((NodeFile("node.json", value),)))


def made_policy(name: str = "one", **spec: Any) -> dict[str, Any]:
    usual = {"resourceName": name, "nodeSelector": {}, "numVfs": 8, "nicSelector": NAMED}
    return {
        "apiVersion": "sriovnetwork.openshift.io/v1",
        "kind": "SriovNetworkNodePolicy",
        "metadata": {"name": name},
        "spec": usual | spec,
    }


def imported(*policies: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what becomes of policies on a node with PFS, and the warnings."""
    findings = Findings()
    read = [policy.read(each, findings) for each in policies]
    assert findings.faults == []
    functions, resources = for_node(read, PFS, "openshift.io", findings)
    return checked(functions, resources, "intel.com", findings), findings.warnings


def test_a_policy_with_everything() -> None:
    value, warnings = imported(
        made_policy(
            deviceType="vfio-pci",
            mtu=9000,
            eSwitchMode="switchdev",
            externallyManaged=True,
            isRdma=True,
            needVhostNet=True,
            excludeTopology=True,
            nicSelector={"vendor": "8086", "deviceID": "1592", "pfNames": ["ens1f0#2-5"]},
        )
    )
    assert value == {
        "functions": [
            {
                "match": {"pf": "ens1f0", "address": ENS1F0},
                "vfs": 8,
                "mtu": 9000,
                "eswitch": "switchdev",
                "drivers": {"2-5": "vfio-pci"},
                "externallyManaged": True,
            }
        ],
        "resources": [
            {
                "resourceName": "one",
                "resourcePrefix": "openshift.io",
                "excludeTopology": True,
                "selectors": {
                    "vendors": ["8086"],
                    "pfNames": ["ens1f0#2-5"],
                    "rootDevices": [ENS1F0],
                    "isRdma": True,
                    "needVhostNet": True,
                },
            }
        ],
    }
    assert warnings == []


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({"vendor": "8086"}, ["ens1f0", "ens1f1"]),
        ({"vendor": "8086", "rootDevices": [ENS1F1]}, ["ens1f1"]),
        ({"deviceID": "1017"}, ["ens2"]),
        ({"pfNames": ["uplink", "ens2"]}, ["ens1f0", "ens2"]),
        ({"pfNames": ["ens1f0"], "rootDevices": [ENS1F0, ENS1F1]}, ["ens1f0"]),
        ({"vendor": "1af4"}, []),
        ({"vendor": "15b3", "pfNames": ["ens1f0"], "rootDevices": [ENS1F0, ENS1F1]}, []),
        ({"netFilter": "openstack/NetworkID:1"}, []),
        ({}, []),
    ],
)
def test_an_entry_for_each_pf_that_all_of_a_selector_fits(
    selector: dict[str, Any], names: list[str]
) -> None:
    value, warnings = imported(made_policy(nicSelector=selector))
    assert [each["match"]["pf"] for each in value.get("functions", [])] == names
    assert len(value.get("resources", [])) == bool(names)
    assert names or "left out" in warnings[-1]


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({"pfNames": ["eth7", "eth8#0-3"]}, [{"pf": "eth7"}, {"pf": "eth8"}]),
        ({"rootDevices": ["0000:99:00.0"]}, [{"address": "0000:99:00.0"}]),
        (
            {"pfNames": ["eth7"], "rootDevices": ["0000:99:00.0"], "vendor": "15b3"},
            [{"pf": "eth7", "address": "0000:99:00.0", "vendor": "15b3"}],
        ),
    ],
)
def test_pfs_of_another_node_are_taken_as_they_are_named(
    selector: dict[str, Any], matches: list[dict[str, str]]
) -> None:
    value, warnings = imported(made_policy(nicSelector=selector))
    assert [each["match"] for each in value["functions"]] == matches
    assert "no such PF is on this node; taken as it is named" in warnings[0]


def test_a_name_that_is_no_pf_beside_one_that_is() -> None:
    value, warnings = imported(made_policy(nicSelector={"pfNames": ["ens1f0", "eth9"]}))
    assert [each["match"]["pf"] for each in value["functions"]] == ["ens1f0"]
    assert warnings == ["policy one: eth9 is no PF of this node that fits: left out"]


def test_policies_for_different_vfs_of_a_pf_add_up() -> None:
    value, warnings = imported(
        made_policy(
            "low", priority=99, mtu=9000, numVfs=6, nicSelector={"pfNames": ["ens1f0#0-3"]}
        ),
        made_policy(
            "high", priority=1, deviceType="vfio-pci", nicSelector={"pfNames": ["ens1f0#4-7"]}
        ),
    )
    (function,) = value["functions"]
    assert (function["vfs"], function["mtu"]) == (8, 9000)
    assert function["drivers"] == {"4-7": "vfio-pci"}
    assert [each["resourceName"] for each in value["resources"]] == ["low", "high"]
    assert warnings == []


def test_the_lower_number_wins_where_policies_meet() -> None:
    value, warnings = imported(
        made_policy("first", priority=1, numVfs=4),
        made_policy("second", priority=2, deviceType="vfio-pci", mtu=9000),
    )
    (function,) = value["functions"]
    assert function == {"match": {"pf": "ens1f0", "address": ENS1F0}, "vfs": 4}
    assert warnings == ["policy first: it outranks policy second, which gets no VFs of ens1f0"]


def test_policies_for_one_resource_are_its_selectors() -> None:
    value, _ = imported(
        made_policy("one", resourceName="net"),
        made_policy("two", resourceName="net", nicSelector={"pfNames": ["ens1f1"]}),
    )
    (resource,) = value["resources"]
    assert resource["selectors"] == [{"pfNames": ["ens1f0"]}, {"pfNames": ["ens1f1"]}]


def test_vfs_that_there_are_not_are_left_out_of_drivers() -> None:
    wanted = made_policy(deviceType="vfio-pci", nicSelector={"pfNames": ["ens1f0#6-9"]})
    value, warnings = imported(wanted)
    assert value["functions"][0]["drivers"] == {"6-7": "vfio-pci"}
    assert warnings == ["policy one: VFs 6-9 are named, but there are 8: the others are left out"]


def test_a_policy_without_vfs_makes_no_entry() -> None:
    value, warnings = imported(made_policy(numVfs=0))
    assert "functions" not in value
    assert "spec.numVfs is 0" in warnings[0]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"vdpaType": "virtio"}, "spec.vdpaType has no counterpart"),
        ({"bridge": {"ovs": {}}}, "spec.bridge has no counterpart"),
        ({"eSwitchParams": {"multiport": True}}, "spec.eSwitchParams has no counterpart"),
        ({"linkType": "IB"}, "spec.linkType ib: GUIDs"),
        ({"nicSelector": NAMED | {"netFilter": "aws/NetworkID:1"}}, "netFilter has no counterpart"),
        ({"numVFs": 4, "ddp": "x"}, "ddp is unknown and ignored"),
        ({"mtu": 20}, "left out: mtu is 20"),
    ],
)
def test_what_has_no_counterpart_is_named(spec: dict[str, Any], text: str) -> None:
    _, warnings = imported(made_policy(**spec))
    assert any(text in warning for warning in warnings), warnings


# What the command does with files.


@pytest.fixture(autouse=True)
def _no_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Tree(tmp_path / "sys").install(monkeypatch)


def run(tmp_path: Path, content: str | bytes, *options: str) -> Result:
    path = tmp_path / "given"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    places = ("--data-dir", str(tmp_path / "none"), "--kubelet-dir", str(tmp_path / "none"))
    return CliRunner().invoke(main, [*places, "import", str(path), *options])


def test_several_documents_lists_and_a_configuration_in_one_file(tmp_path: Path) -> None:
    listed = {"kind": "List", "apiVersion": "v1", "items": [made_policy("one"), made_policy("two")]}
    bare = {"resourceList": [{"resourceName": "three", "selectors": {}}]}
    result = run(tmp_path, yaml.safe_dump_all([listed, None, made_policy("default"), bare]))
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert [each["resourceName"] for each in value["resources"]] == ["one", "two", "three"]


def test_pci_addresses_and_ids_are_text_as_in_kubernetes(tmp_path: Path) -> None:
    text = yaml.safe_dump(made_policy()).replace(
        "pfNames:", "rootDevices: [0000:03:00.0]\n    pfNames:"
    )
    value = json.loads(run(tmp_path, text).stdout)
    assert value["functions"][0]["match"]["address"] == "0000:03:00.0"
    result = run(tmp_path, yaml.safe_dump(made_policy(nicSelector={"vendor": 8086})))
    assert result.exit_code == 1
    assert "spec.nicSelector.vendor is 8086, it must be" in result.stderr
    assert result.stdout == ""


def test_node_labels_choose_among_policies(tmp_path: Path) -> None:
    text = yaml.safe_dump_all(
        [
            made_policy("here", nodeSelector={"zone": "a"}),
            made_policy("there", nodeSelector={"zone": "b"}),
        ]
    )
    result = run(tmp_path, text)
    assert len(json.loads(result.stdout)["resources"]) == 2
    assert result.stderr.count("is taken to select this node: --node-labels") == 2
    result = run(tmp_path, text, "--node-labels", "zone=a,role=x")
    assert [each["resourceName"] for each in json.loads(result.stdout)["resources"]] == ["here"]
    assert "policy there: spec.nodeSelector (zone=b) does not select this node" in result.stderr
    assert run(tmp_path, text, "--node-labels", "zone").exit_code == 64


RESOURCE = {"resourceName": "x", "selectors": {"vendors": ["8086"], "IsRdma": True}, "own": 1}


def test_a_config_maps_resources_are_taken_as_they_are(tmp_path: Path) -> None:
    refused = {"resourceName": "y", "selectors": {"ddpProfiles": ["GTP"]}}
    data = {
        "config.json": json.dumps({"resourceList": [RESOURCE, refused]}),
        "worker": json.dumps({"ResourceList": [RESOURCE]}),
        "other": "{}",
    }
    text = yaml.safe_dump({"kind": "ConfigMap", "apiVersion": "v1", "data": data})
    result = run(tmp_path, text)
    assert json.loads(result.stdout) == {"resources": [RESOURCE]}
    assert "left out: selectors.ddpProfiles" in result.stderr
    assert "data.other has no resourceList: left out" in result.stderr
    assert "resources of config.json, worker are added up" in result.stderr


def test_a_bare_configuration_as_json(tmp_path: Path) -> None:
    result = run(tmp_path, json.dumps({"resourceList": [RESOURCE]}, indent=1))
    assert json.loads(result.stdout) == {"resources": [RESOURCE]}
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: b\n c: d", "line 2 is not YAML: mapping values are not allowed"),
        ('{"a": 1,\n"b" 2}', "not JSON: Expecting ':' delimiter: line 2"),
        (b"\xff\xfea", "is not YAML"),
        ("a: !!python/object:os.x {}", "line 1 is not YAML: could not determine a constructor"),
        ("a: !!int b", "is not YAML"),
        ("a: !!bool b", "is not YAML"),
        ("1: b", "the key 1 is no string: put it in quotes"),
        ("[" * 5000, "nested too deeply"),
        ("- a", "in the place of an object"),
        ("a: 2020-01-01", "has nothing for a node's file"),
        ("kind: List\nitems: [a]", "which has objects"),
        ("kind: ConfigMap\ndata: {a: '{'}", "data.a is not JSON"),
        ("kind: ConfigMap\ndata: {a: 1}", "data.a is 1, it must be a string"),
        ("resourceList: 1", "resourceList is 1, it must be a list"),
        ("#" * (LARGEST + 1), "longer than"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: str | bytes, said: str) -> None:
    result = run(tmp_path, content)
    assert said in result.stderr
    assert result.exit_code == (0 if "nothing for" in said else 1)
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)


def test_aliases_that_stand_for_millions_of_values_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    result = run(tmp_path, "\n".join(lines))
    assert result.exit_code == 1
    assert "more than 131072 values" in result.stderr


def test_a_file_that_is_not_there_and_none_at_all(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["import", str(tmp_path / "none")])
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {tmp_path}/none cannot be read: No such file or directory\n",
    )
    result = CliRunner().invoke(main, ["import"])
    assert result.exit_code == 64
    assert "give a FILE, - for standard input, or --from-node" in result.stderr


def test_standard_input(tmp_path: Path) -> None:
    content = json.dumps({"resourceList": [RESOURCE]})
    result = CliRunner().invoke(import_command, [documents.STDIN], input=content)
    assert json.loads(result.stdout) == {"resources": [RESOURCE]}


TEXTS = st.sampled_from([each for each in VALUES if isinstance(each, str)])
ANY = st.sampled_from(VALUES)
SPECS = st.fixed_dictionaries(
    {
        "resourceName": st.sampled_from(["net", "a-b", "_", ""]),
        "nodeSelector": st.just({}),
        "numVfs": st.integers(0, 70000),
        "nicSelector": st.fixed_dictionaries(
            {},
            optional={
                "vendor": st.sampled_from(["8086", "0x15B3", ""]),
                "pfNames": st.lists(
                    st.sampled_from(["ens1f0", "ens1f0#0-3", "ens1f1#2,9-90", "ens2#5-5", "x#1"]),
                    max_size=3,
                ),
                "rootDevices": st.lists(st.sampled_from([ENS1F0, "5e:00.0"]), max_size=2),
                "deviceID": st.sampled_from(["1592", "1017"]),
            },
        ),
    },
    optional={
        "priority": st.integers(0, 99),
        "mtu": st.integers(0, 70000),
        "deviceType": st.sampled_from(["netdevice", "vfio-pci"]),
        "eSwitchMode": st.sampled_from(["legacy", "switchdev", ""]),
        "linkType": st.sampled_from(["eth", "IB", ""]),
        "isRdma": st.booleans(),
        "vdpaType": ANY,
    },
)


@given(st.lists(st.one_of(SPECS, st.dictionaries(st.sampled_from(policy._KEYS), ANY)), max_size=4))
def test_whatever_policies_want_the_file_has_no_fault(specs: list[dict[str, Any]]) -> None:
    findings = Findings()
    read = []
    for index, spec in enumerate(specs):
        before = len(findings.faults)
        found = policy.read(made_policy(f"p{index}") | {"spec": spec}, findings)
        read += [found] if len(findings.faults) == before else []
    functions, resources = for_node(read, PFS, "openshift.io", findings)
    value = checked(functions, resources, "intel.com", findings)
    assert wanted_by(value).faults == ()
    assert len(wanted_by(value).functions) == len(value.get("functions", []))
    content = json.dumps({"resourceList": value.get("resources", [])}).encode()
    assert device_plugin.parse(content, "intel.com").faults == ()


def nested(levels: int = 3) -> st.SearchStrategy[Any]:
    leaf = ANY
    for _ in range(levels):
        leaf = st.one_of(ANY, st.lists(leaf, max_size=3), st.dictionaries(TEXTS, leaf, max_size=3))
    return leaf


@settings(max_examples=60)
@given(st.binary(max_size=300) | nested().map(lambda value: json.dumps(value).encode()))
def test_no_file_makes_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    result = run(tmp_path_factory.mktemp("any"), content)
    assert result.exit_code in (0, 1)
    assert result.exception is None or isinstance(result.exception, SystemExit)


# A running node.


def facts_of(*drivers: str | None, **more: Any) -> Facts:
    vfs = tuple(
        Vf(Tree.vf(ENS1F0, number), number, driver, driver if driver == "vfio-pci" else "")
        for number, driver in enumerate(drivers)
    )
    pf = Pf(ENS1F0, "8086", "1592", ("ens1f0",), total_vfs=64, vfs=vfs, is_up=True, driver="ice")
    there = {each.address: each for each in (pf._replace(**more), PFS[1])}
    return Facts(there, frozenset({"ice", "iavf", "vfio-pci"}), frozenset({"vfio_pci"}))


def test_a_node_as_it_is() -> None:
    facts = facts_of("iavf", "vfio-pci", "vfio-pci", "iavf", "vfio-pci", mtu=9000)
    assert from_node(facts) == {
        "functions": [
            {
                "match": {"address": ENS1F0, "pf": "ens1f0"},
                "vfs": 5,
                "mtu": 9000,
                "drivers": {"1-2,4": "vfio-pci"},
            }
        ]
    }


@given(
    st.lists(st.sampled_from(["iavf", "vfio-pci"]), min_size=1, max_size=64),
    st.sampled_from([None, 1500, 9000]),
    st.sampled_from([None, *Eswitch]),
    st.booleans(),
)
def test_preparation_has_nothing_to_do_on_a_node_that_is_as_its_export_says(
    drivers: list[str], mtu: int | None, eswitch: Eswitch | None, has_iommu: bool
) -> None:
    facts = facts_of(*drivers, mtu=mtu, eswitch=eswitch)._replace(has_iommu=has_iommu)
    wanted = wanted_by(from_node(facts))
    assert (wanted.faults, wanted.warnings) == ((), ())
    found = plan(wanted, facts)
    assert (found.refusals, found.faults) == ((), ())
    assert {step.action for step in found.steps} <= {Action.NO_IOMMU}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    tree = Tree(tmp_path / "cards")
    tree.install(monkeypatch)
    tree.pf(ENS1F0, "ens1f0", vfs=4)
    tree.bind(tree.vf(ENS1F0, 3), "vfio-pci")
    tree.pf(ENS1F1, "ens1f1")
    return tree


def test_from_node_with_a_policy_which_outranks_what_there_is(tree: Tree, tmp_path: Path) -> None:
    places = ("--data-dir", str(tmp_path / "none"), "--kubelet-dir", str(tmp_path / "none"))
    result = CliRunner().invoke(main, [*places, "import", "--from-node"])
    exported = CliRunner().invoke(main, [*places, "node", "export"])
    assert json.loads(exported.stdout) == json.loads(result.stdout)
    (function,) = json.loads(result.stdout)["functions"]
    assert function["match"] == {"address": ENS1F0, "pf": "ens1f0"}
    assert (function["vfs"], function["drivers"]) == (4, {"3": "vfio-pci"})
    wanted = made_policy(nicSelector={"vendor": "8086"})
    result = run(tmp_path, json.dumps(wanted), "--from-node")
    found = json.loads(result.stdout)["functions"]
    assert [(each["match"]["pf"], each["vfs"]) for each in found] == [("ens1f0", 8), ("ens1f1", 8)]

# SPDX-License-Identifier: Apache-2.0
"""What the documents show is true: examples, commands, error codes, the picture.

The commands for a node run in tests/lab/test_documentation.py.
"""

import fnmatch
import json
import re
import subprocess
import sys
import textwrap
from functools import cache

import pytest

from ipam import commands as fixipam
from ipam import configuration as fixipam_configuration
from sriov_cni.attachment import configuration
from sriov_cni.cni import call, errors
from sriov_node.device_plugin import configuration as device_plugin
from sriov_node.node_file import NodeFile, NodeFiles
from sriov_node.preparation import configuration as preparation
from tests.documents import DOCUMENTS, ROOT, blocks, commands, commands_running, text
from tests.plugin import Document

EXAMPLE = "conf/10-sriov.conf.example"
NETWORKS = [block for block in blocks("yaml") if "\nkind: NetworkAttachmentDefinition\n" in block]
PODS = [block for block in blocks("yaml", "README.md") if "\nkind: Pod\n" in block]
DEVICE = {"deviceID": "0000:3b:02.1"}  # what the device plugin chooses, and Multus hands over
IN_CHECKOUT = [command for command in commands() if command.in_checkout]


def embedded(network: str) -> str:
    """Return the configuration within a NetworkAttachmentDefinition."""
    return textwrap.dedent(network.partition("config: |\n")[2])


DEPLOYED = [path.read_text() for path in sorted((ROOT / "deploy" / "networks").iterdir())]
NODE_FILES = [block for block in blocks("json") if '"functions"' in block]
OF_NODES = ('"resourceList"', '"functions"')
OF_NETWORKS = [block for block in blocks("json") if not any(key in block for key in OF_NODES)]
EXAMPLES = [*OF_NETWORKS, *map(embedded, NETWORKS + DEPLOYED), text(EXAMPLE)]


def wanted(config: Document, args: str = "") -> configuration.Configuration | None:
    """Return what an ADD makes of a network, None of another plugin's; raise CniError."""
    environment = {"CNI_CONTAINERID": "container", "CNI_IFNAME": "net1", "CNI_ARGS": args}
    environment["CNI_NETNS"] = "/run/netns/pod"
    add = call.read("ADD", environment, config, config["cniVersion"])
    if config.get("ipam", {}).get("type") == "fixipam":
        fixipam.plan(add)
    return configuration.parse(add) if config["type"] == "sriov" else None


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_configuration_that_is_accepted(example: str) -> None:
    config = json.loads(example)
    if "plugins" in config:  # a list: its first plugin as a runtime calls it
        shared = {key: config[key] for key in ("cniVersion", "name")}
        config = shared | config["plugins"][0]
    if "master" not in config:
        config["runtimeConfig"] = DEVICE
    ipam = config.get("ipam", {})
    subnets = [ipam, *ipam.get("ranges", [])] if ipam.get("type") == "fixipam" else []
    addresses = [s["subnet"].replace(".0/", ".9/") for s in subnets if "subnet" in s]
    wanted(config, f"IP={addresses[0]}" if addresses else "")


@pytest.mark.parametrize("example", [*NODE_FILES, text("conf/node.json.example")])
def test_every_node_file_is_read_without_faults_or_warnings(example: str) -> None:
    files = NodeFiles((NodeFile("node.json", json.loads(example)),))
    wanted_of_node = preparation.wanted_by(files)
    resources = device_plugin.parse(
        json.dumps({"resourceList": files.files[0].values.get("resources", [])}).encode(), "a.com"
    )
    assert (wanted_of_node.faults, wanted_of_node.warnings) == ((), ())
    assert (resources.faults, resources.warnings) == ((), ())
    assert wanted_of_node.functions


@pytest.mark.parametrize("network", DEPLOYED)
def test_a_network_to_deploy_has_one_name(network: str) -> None:
    (name,) = re.findall(r"^  name: (\S+)$", network, re.M)
    assert json.loads(embedded(network))["name"] == name


def test_every_block_of_yaml_is_a_network_or_the_pod_of_one() -> None:
    assert len(NETWORKS) + len(PODS) == len(blocks("yaml"))


def test_the_pod_of_the_readme_gets_what_it_asks_for_from_its_network() -> None:
    (pod,) = PODS
    (network,) = (block for block in blocks("yaml", "README.md") if block in NETWORKS)
    (annotation,) = re.findall(r"^    k8s.v1.cni.cncf.io/networks: '(.+)'$", pod, re.M)
    (asked,) = json.loads(annotation)
    assert f"\n  name: {asked.pop('name')}\n" in network
    config = json.loads(embedded(network))
    assert asked.keys() <= config["capabilities"].keys()
    resource = re.findall(r"resourceName: (\S+)$", network, re.M)
    assert re.findall(r"^ +(?:requests|limits): { (\S+): \"1\" }$", pod, re.M) == resource * 2
    got = wanted(config | {"runtimeConfig": {**DEVICE, **asked}})
    assert got is not None
    assert (got.device_id, got.attributes.vlan) == (DEVICE["deviceID"], 100)


@pytest.mark.parametrize("key", configuration.KEYS)
def test_the_reference_has_every_key(key: str) -> None:
    reference, _, _ = text("docs/configuration.md").partition("## `fixipam`")
    assert re.search(rf"^\|[^|]*`{key}`", reference, re.M)


@pytest.mark.parametrize("key", fixipam_configuration.KEYS)
def test_the_reference_of_fixipam_has_every_key(key: str) -> None:
    _, _, reference = text("docs/configuration.md").partition("## `fixipam`")
    assert re.search(rf"^\|[^|]*`{key}`", reference, re.M)


def test_the_readme_shows_the_example_configuration() -> None:
    shown = [json.loads(block) for block in blocks("json", "README.md")]
    assert shown == [json.loads(text(EXAMPLE))]


def test_the_readme_lists_every_code_of_our_own() -> None:
    own = {v for name, v in vars(errors).items() if name.isupper() and v >= errors.INTERNAL}
    listed = {int(code) for code in re.findall(r"^\| (\d{3}) \|", text("README.md"), re.M)}
    assert listed == own


@cache
def files() -> tuple[str, ...]:
    """Return the paths of the repository's files, as far as documents name them."""
    ours = ("sriov_cni", "ipam", "sriov_node", "startup", "tests", "tools")
    tops = (*ours, "docs", "bench", "conf", "deploy")
    paths = (*ROOT.glob("*.*"), *(path for top in tops for path in (ROOT / top).rglob("*.*")))
    return tuple(f"/{path.relative_to(ROOT)}" for path in paths)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_named_exists(document: str) -> None:
    named = set(re.findall(r"`([\w*./-]+\.(?:example|md|py|spec|svg|toml))`", text(document)))
    assert {name for name in named if not fnmatch.filter(files(), f"*/{name}")} == set()


@pytest.mark.parametrize("document", [*DOCUMENTS, "deploy/README.md"])
def test_every_link_leads_somewhere(document: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", text(document)):
        path, _, anchor = link.partition("#")
        if "://" not in link:
            target = (ROOT / document).parent / path if path else ROOT / document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target.read_text()), link


def anchors(document: str) -> set[str]:
    """Return the names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", document, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_picture_is_what_its_source_draws() -> None:
    drawn = subprocess.run([sys.executable, ROOT / "docs" / "pod.py"], capture_output=True)
    assert drawn.stdout == (ROOT / "docs" / "pod.svg").read_bytes()


@pytest.fixture(scope="module")
def targets() -> set[str]:
    """The targets that make lists."""
    command = ["make", "--no-print-directory", "help"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    return {line.split()[0] for line in listed.splitlines() if line}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_named_exists(document: str, targets: set[str]) -> None:
    lines = [line for command in commands(document) for line in command.script.splitlines()]
    lines += re.findall(r"^    (make \S+)", text(document), re.M)
    named = {word for line in lines if line.startswith("make ") for word in line.split()[1:]}
    assert {word for word in named if "=" not in word} <= targets  # the others set variables


@pytest.mark.parametrize("script", [command.script for command in IN_CHECKOUT])
def test_every_command_of_a_checkout_is_run_by_make_or_by_a_test(script: str) -> None:
    run = [line for layer in ("unit", "namespaces", "lab") for line in commands_running(layer)]
    for line in script.splitlines():
        assert line.startswith("make ") or line in run or line in text("Makefile")


@pytest.mark.parametrize("command", commands_running("unit"))
def test_a_command_that_runs_unit_tests_works(command: str) -> None:
    done = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

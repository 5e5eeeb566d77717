# SPDX-License-Identifier: Apache-2.0
"""What the documents show is true: examples are accepted, commands and error codes exist."""

import json
import os
import re
import subprocess
import textwrap

import pytest

from ipam import commands as fixipam
from sriov_cni.attachment import configuration
from sriov_cni.cni import errors
from sriov_cni.cni.call import Arguments, Call
from sriov_cni.cni.owner import Owner

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
DOCUMENTS = (
    "README.md",
    "docs/configuration.md",
    "docs/coming-from-the-go-plugin.md",
    "docs/performance.md",
    "docs/release.md",
    "CONTRIBUTING.md",
)


def text(path: str) -> str:
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def blocks(language: str) -> list[str]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [block for path in DOCUMENTS for block in pattern.findall(text(path))]


def embedded() -> list[str]:
    """Return the configurations within NetworkAttachmentDefinitions."""
    return [textwrap.dedent(block.partition("config: |\n")[2]) for block in blocks("yaml")]


EXAMPLES = [*blocks("json"), *embedded(), text("conf/10-sriov.conf.example")]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_configuration_that_is_accepted(example: str) -> None:
    config = json.loads(example)
    if "plugins" in config:  # a list: its first plugin as a runtime calls it
        shared = {key: config[key] for key in ("cniVersion", "name")}
        config = shared | config["plugins"][0]
    ipam = config.get("ipam", {})
    subnets = [ipam, *ipam.get("ranges", [])] if ipam.get("type") == "fixipam" else []
    addresses = [s["subnet"].replace(".0/", ".9/") for s in subnets if "subnet" in s]
    call = Call(
        command="ADD",
        owner=Owner("container", "net1"),
        netns="/run/netns/pod",
        arguments=Arguments.parse(f"IP={addresses[0]}" if addresses else ""),
        path="/opt/cni/bin",
        network=config["name"],
        version=config["cniVersion"],
        config=config,
    )
    if subnets:
        fixipam.plan(call)
    if config["type"] == "sriov":
        handed_over = (
            {"runtimeConfig": {"deviceID": "0000:3b:02.1"}} if "master" not in config else {}
        )
        wanted = configuration.parse(call._replace(config=config | handed_over))
        assert wanted.master or wanted.device_id


@pytest.mark.parametrize("key", configuration.KEYS)
def test_the_reference_has_every_key(key: str) -> None:
    assert re.search(rf"^\|[^|]*`{key}`", text("docs/configuration.md"), re.M)


def test_the_readme_shows_the_example_configuration() -> None:
    shown = [json.loads(block) for block in blocks("json")]
    assert json.loads(text("conf/10-sriov.conf.example")) in shown


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_make_target_named_exists(path: str) -> None:
    named = {
        target
        for line in re.findall(r"(?:^|`)make ([a-z -]+)$|`make ([a-z -]+)`", text(path), re.M)
        for target in " ".join(line).split()
    }
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True
    )
    targets = {line.split()[0] for line in listed.stdout.splitlines() if line}
    assert named <= targets


def test_the_readme_lists_every_code_of_our_own() -> None:
    own = {v for name, v in vars(errors).items() if name.isupper() and v >= errors.INTERNAL}
    listed = {int(code) for code in re.findall(r"^\| (\d{3}) \|", text("README.md"), re.M)}
    assert listed == own

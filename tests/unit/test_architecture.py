# SPDX-License-Identifier: Apache-2.0
"""The house of docs/architecture.md: who may import whom, and how every file begins."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.executable import REPOSITORY

PRODUCT = ("sriov_cni", "ipam", "sriov_node", "sriovctl", "startup")
CNI, COMMANDS = "sriov_cni.cni", "sriov_cni.commands"
ATTACHMENT, POD = "sriov_cni.attachment", "sriov_cni.pod"
DEVICE, KERNEL, STORE = "sriov_cni.device", "sriov_cni.kernel", "sriov_cni.store"
DOCUMENT = "sriov_cni.cni.document"
IPAM_CLIENT = "sriov_cni.attachment.ipam_client"
INVENTORY, KUBELET = "sriov_node.inventory", "sriov_node.kubelet"
DEVICE_PLUGIN, METRICS = "sriov_node.device_plugin", "sriov_node.metrics"
WATCH, FIELDS = "sriov_node.directory_watch", "sriov_node.fields"
NAMES, RANGES = "sriov_node.names", "sriov_node.ranges"
PREPARATION, NODE_FILE = "sriov_node.preparation", "sriov_node.node_file"
# Who may import what of the project. The longest key that a module's name begins with counts.
ARROWS: dict[str, tuple[str, ...]] = {
    "sriov_cni": (),
    "sriov_cni.__main__": (CNI, COMMANDS, ATTACHMENT),
    COMMANDS: (COMMANDS, ATTACHMENT, POD, DEVICE, CNI, KERNEL),
    ATTACHMENT: (ATTACHMENT, DEVICE, CNI, KERNEL, STORE),
    IPAM_CLIENT: (CNI, "ipam"),
    POD: (CNI, KERNEL),
    DEVICE: (DEVICE, KERNEL),
    CNI: (CNI,),
    KERNEL: (KERNEL,),
    STORE: (),
    "ipam": ("ipam", CNI, STORE),
    WATCH: (),
    RANGES: (),
    NAMES: (CNI, KERNEL),
    FIELDS: (DOCUMENT,),
    NODE_FILE: (FIELDS, DOCUMENT),
    "sriov_node": ("sriov_node", "sriov_cni"),
    METRICS: (METRICS, FIELDS, INVENTORY, DEVICE_PLUGIN, KUBELET, KERNEL, DEVICE),
    DEVICE_PLUGIN: (
        *(DEVICE_PLUGIN, NODE_FILE, FIELDS, NAMES, RANGES),
        *(INVENTORY, KUBELET, DOCUMENT, KERNEL, STORE),
    ),
    PREPARATION: (
        *(PREPARATION, NODE_FILE, FIELDS, NAMES, RANGES, INVENTORY, KUBELET, WATCH),
        *(ATTACHMENT, DEVICE, CNI, KERNEL, STORE),
    ),
    INVENTORY: (INVENTORY, ATTACHMENT, DEVICE, CNI, KERNEL, STORE, WATCH),
    KUBELET: (KUBELET, WATCH),
    "sriovctl": ("sriovctl", "sriov_node", "sriov_cni"),
    "startup": ("startup",),
}
NETLINK = "pyroute2"
ADDRESSES = "netaddr"


def python_files(*directories: str) -> list[Path]:
    found = (path for d in directories for path in (REPOSITORY / d).rglob("*.py"))
    return sorted(path for path in found if not path.stem.endswith(("_pb2", "_grpc")))  # made


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of what a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_part(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer(module: str) -> str:
    return max((key for key in ARROWS if is_part(module, key)), key=len)


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("path", python_files(*PRODUCT), ids=name_of)
def test_a_module_imports_its_own_layer_and_those_below(path: Path) -> None:
    allowed = ARROWS[layer(module_name(path))]
    ours = {name for name in imported(path) if any(is_part(name, top) for top in PRODUCT)}
    assert {name for name in ours if not any(is_part(name, a) for a in allowed)} == set()


@pytest.mark.parametrize("path", python_files(*PRODUCT), ids=name_of)
def test_only_the_kernel_layer_speaks_netlink(path: Path) -> None:
    speaks = any(is_part(name, NETLINK) for name in imported(path))
    assert not speaks or layer(module_name(path)) == KERNEL


@pytest.mark.parametrize("path", python_files(*PRODUCT), ids=name_of)
def test_only_one_module_knows_the_address_library(path: Path) -> None:
    knows = any(is_part(name, ADDRESSES) for name in imported(path))
    assert not knows or module_name(path) == "sriov_cni.cni.addresses"


@pytest.mark.parametrize("path", python_files(*PRODUCT, "tests", "bench"), ids=name_of)
def test_a_file_begins_with_its_license_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    module = ast.parse(text)
    assert not module.body or ast.get_docstring(module)


@pytest.mark.parametrize("path", python_files("tests", "bench"), ids=name_of)
def test_tests_share_only_what_lies_in_the_directory_tests_itself(path: Path) -> None:
    own = path.relative_to(REPOSITORY).parts[1]
    for name in imported(path):
        if is_part(name, "tests"):
            _, first, *others = name.split(".")
            assert first == own or (REPOSITORY / "tests" / f"{first}.py").exists(), name
            assert not any(part.startswith("test_") for part in others[:-1]), name


@pytest.mark.parametrize("path", python_files("tests", "bench"), ids=name_of)
def test_nothing_is_imported_from_a_file_of_tests(path: Path) -> None:
    files = [name for name in imported(path) if name.startswith("tests.") and ".test_" in name]
    assert files == []  # what several tests need is in tests/networks.py and beside it

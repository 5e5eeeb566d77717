# SPDX-License-Identifier: Apache-2.0
"""What the host uses, judged of all devices at once with a real rtnetlink: as an ADD judges it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.plugin import run
from tests.sysfs import Tree, seeing

PF, VF = "0000:3b:00.0", "0000:3b:02.0"
# The devices of the tree are made as veth devices, so that rtnetlink has them, too.
SCAN = """
set -e
ip link set lo up
for name in eth1 eth1v0 eth1v1; do
    ip link add $name type veth peer name ${name}p
    ip link set ${name}p up
done
%s
exec "$0" -P -c '
import json, sys
from sriov_node.inventory.scan import Inventory
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel import links
from sriov_cni.device import host_use
inventory = Inventory(sys.argv[1])
devices = inventory.scan().devices.values()
with_plugin = {}
for name in ("eth1", "eth1v0", "eth1v1"):
    with_plugin[name] = host_use.why_used(Socket(), links.find(Socket(), name))
print(json.dumps({
    "use": {d.netdevs[0]: [d.use.state.value, d.use.reason] for d in devices},
    "plugin": with_plugin,
    "pf": [[d.pf_names, d.carrier] for d in devices],
    "light": inventory.light(),
}))' "$1"
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A PF with two VFs."""
    tree = Tree(tmp_path / "sys")
    tree.pf(PF, "eth1", vfs=2)
    return tree


def scan(tree: Tree, *script: str) -> Any:
    """Return what the scan says on a host that a script has set up."""
    program = SCAN % "\n".join(script)
    state = str(tree.root.parent / "state")
    return json.loads(run(*seeing(tree, "sh", "-c", program, sys.executable, state)))


def test_a_device_that_the_host_does_not_use_is_free(tree: Tree) -> None:
    seen = scan(tree, "ip link set eth1v0 up", "ip route add 10.8.0.0/16 dev eth1v0")
    assert set(map(tuple, seen["use"].values())) == {("free", "")}
    assert set(seen["plugin"].values()) == {None}
    assert seen["light"] is False


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("ip address add 10.1.0.5/24 dev eth1v0", "carries the host's address 10.1.0.5"),
        ("ip address add fd00:1::5/64 dev eth1v0", "carries the host's address fd00:1::5"),
        ("ip link set eth1v0 up; ip route add default dev eth1v0", "carries a default route"),
        ("ip link set eth1v0 up; ip -6 route add default dev eth1v0", "carries a default route"),
        (
            "ip link set eth1v0 up; ip route add default dev eth1v0 table 100",
            "carries a default route",
        ),
    ],
)
def test_a_device_that_the_host_uses_is_the_hosts(tree: Tree, script: str, reason: str) -> None:
    seen = scan(tree, script)
    state, said = seen["use"]["eth1v0"]
    assert (state, said) == ("host", seen["plugin"]["eth1v0"])
    assert reason in said
    assert seen["use"]["eth1v1"] == seen["use"]["eth1"] == ["free", ""]


@pytest.mark.parametrize(
    "script",
    [
        "ip address add fd00:1::5/64 dev eth1v0 valid_lft 900 preferred_lft 900",
        "ip address add 169.254.0.5/16 dev eth1v0 scope link",
        "ip link set eth1v0 up; ip -6 route add default dev eth1v0 proto ra expires 900",
    ],
)
def test_what_came_by_itself_is_no_use(tree: Tree, script: str) -> None:
    seen = scan(tree, script)
    assert seen["use"]["eth1v0"] == ["free", ""]
    assert seen["plugin"]["eth1v0"] is None


def test_a_device_in_a_bridge_is_the_hosts(tree: Tree) -> None:
    tree.virtual("br0", "eth1v0", group=True)
    seen = scan(tree, "ip link add br0 type bridge", "ip link set eth1v0 master br0")
    assert seen["use"]["eth1v0"] == ["host", seen["plugin"]["eth1v0"]]
    assert "belongs to a bond, bridge or team" in seen["plugin"]["eth1v0"]


def test_a_device_below_another_is_the_hosts(tree: Tree) -> None:
    tree.virtual("storage", "eth1v0")
    tree.virtual("backup", "eth1v0")
    seen = scan(tree)
    assert seen["use"]["eth1v0"] == ["host", seen["plugin"]["eth1v0"]]


def test_a_pf_is_known_by_its_alternative_names(tree: Tree) -> None:
    seen = scan(tree, "ip link property add dev eth1 altname ens1f0np0", "ip link set eth1 up")
    assert seen["pf"] == [[["eth1", "ens1f0np0"], True]] * 3


def test_carrier_is_that_of_the_pf(tree: Tree) -> None:
    seen = scan(tree, "ip link set eth1 up", "ip link set eth1p down")
    assert seen["pf"] == [[["eth1"], False]] * 3

# SPDX-License-Identifier: Apache-2.0
"""The installed executables on a node as it is: /run and /tmp execute nothing, calls are killed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.namespaces.installation import BUILT, variant
from tests.networks import MYNET, MYNET_ARGS
from tests.node import Node
from tests.plugin import Document, Plugin, wait_for

PLUGINS = "/opt/cni/bin"
SLOW: Document = {"cniVersion": "1.1.0", "name": "slow", "type": "sriov", "master": "eth1"}
SLOW |= {"ipam": {"type": "slow"}}
# What may be left by a call that was killed, were it unpacked anywhere.
PLACES = ("/run", "/tmp", "/var/tmp", "/dev/shm")
SLOW_PLUGIN = f"""#!/bin/sh
[ $CNI_COMMAND = ADD ] || exit 0
echo $$ >{PLUGINS}/waiting
until [ -e {PLUGINS}/go ]; do sleep 0.1; done
echo '{{"cniVersion": "1.1.0", "ips": [{{"address": "10.1.0.5/24"}}]}}'
"""


@pytest.fixture
def node() -> Iterator[Node]:
    """A node that executes nothing from /run and /tmp, with the plugins installed."""
    with Node() as node:
        node.run("mkdir", "-p", PLUGINS)
        node.run("mount", "-t", "tmpfs", "tmpfs", PLUGINS)
        node.run("sh", str(BUILT), PLUGINS)  # first: this checkout may be on /tmp
        for directory in ("/run", "/tmp"):
            node.run("mount", "-t", "tmpfs", "-o", "nodev,noexec,nosuid", "tmpfs", directory)
        node.run("mkdir", "-p", "/run/netns")
        node.add_pf("eth1", vfs=3)
        yield node


@pytest.fixture
def frozen(node: Node) -> Plugin:
    return Plugin(*node.entering, f"{PLUGINS}/sriov")


@pytest.fixture
def slow(node: Node) -> None:
    """An IPAM plugin that waits until a file is there."""
    node.write(f"{PLUGINS}/slow", SLOW_PLUGIN)
    node.run("chmod", "+x", f"{PLUGINS}/slow")


def executables(node: Node) -> list[str]:
    """Return the processes that execute something from the plugins' directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith(f"{PLUGINS}/"):
                found.append(pid)
        except OSError:
            continue
    return found


def rests(node: Node) -> set[str]:
    """Return what is in the places where programs put temporary files."""
    return {f"{place}/{name}" for place in PLACES for name in os.listdir(node.path(place))}


def test_run_and_tmp_need_not_execute_anything(node: Node, frozen: Plugin) -> None:
    before, pod = node.state(), node.add_pod("pod")
    network = MYNET | {"vlan": None}
    args = MYNET_ARGS.replace(";VLAN=100", "")
    assert frozen("ADD", network, netns=pod, args=args).status == 0
    assert (
        node.ip("-n", "pod", "addr", "show", "net1")[0]["addr_info"][0]["local"] == "10.55.206.46"
    )
    assert frozen("DEL", network, netns=pod, args=args).status == 0
    assert node.state() == before


def test_a_killed_add_leaves_no_process_and_no_file(node: Node, frozen: Plugin, slow: None) -> None:
    before, pod, places = node.state(), node.add_pod("pod"), rests(node)
    call = frozen.start("ADD", SLOW, netns=pod)
    plugin = wait_for(lambda: os.path.exists(node.path(f"{PLUGINS}/waiting")))
    assert plugin
    assert executables(node) == [str(call.process.pid)]
    call.process.kill()
    call.process.wait()
    assert executables(node) == []
    assert rests(node) == places
    node.run("touch", f"{PLUGINS}/go")  # the delegate is the runtime's to end; this one ends here
    assert frozen("DEL", SLOW, netns=pod).status == 0
    assert node.state() == before


def test_a_call_under_way_ends_as_it_began_while_the_plugins_are_replaced(
    node: Node, frozen: Plugin, slow: None
) -> None:
    pod = node.add_pod("pod")
    call = frozen.start("ADD", SLOW, netns=pod)
    wait_for(lambda: os.path.exists(node.path(f"{PLUGINS}/waiting")))
    variant(Path(node.path("/var/lib")), "another")
    node.run("sh", "/var/lib/another.run", PLUGINS)
    assert os.readlink(node.path(f"{PLUGINS}/sriov-cni")) == "sriov-cni-another"
    node.run("touch", f"{PLUGINS}/go")
    outcome = call.outcome()
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.document["ips"][0]["address"] == "10.1.0.5/24"
    assert frozen("DEL", SLOW, netns=pod).status == 0

# SPDX-License-Identifier: Apache-2.0
"""Node preparation on real cards: from every state to every state, and never a VF from a pod."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import card
from tests.lab.runtime import SRIOVCTL
from tests.networks import DEVICE
from tests.plugin import Plugin, run, run_json
from tests.points import EVERYTHING
from tests.prepared import VFIO, State, Tool, autoprobe, drivers

NONE, THREE, SEVEN = State(0), State(3), State(7)
MIXED_THREE, MIXED_SEVEN = State(3, (1, 2)), State(7, (0, 3))
STATES = (NONE, THREE, MIXED_THREE, SEVEN, MIXED_SEVEN)
PFS = card.PFS[:3]
ROUNDS = 10 if EVERYTHING else 4  # from where all walks begin: all 25 changes, or 9 with each state


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    """The tool; afterwards all cards have seven VFs again, with kernel drivers."""
    run("modprobe", VFIO)
    yield Tool(SRIOVCTL, tmp_path)
    for pf in card.PFS:
        run("ip", "link", "set", pf, "mtu", "1500")
        if drivers(pf) != SEVEN.drivers():
            card.enable_vfs(pf, 0)
            card.enable_vfs(pf, card.VFS)


def walks() -> list[list[State]]:
    """Return one walk per PF; together they go from every state to every state, once.

    An Eulerian circuit of the complete graph, by Hierholzer's algorithm, in equal parts.
    """
    left = {state: list(STATES) for state in STATES}
    circuit: list[State] = []
    stack = [NONE]
    while stack:
        if left[stack[-1]]:
            stack.append(left[stack[-1]].pop())
        else:
            circuit.append(stack.pop())
    steps = -(-(len(circuit) - 1) // len(PFS))
    return [circuit[n * steps : (n + 1) * steps + 1] for n in range(len(PFS))]


def test_the_walks_have_every_change_or_where_time_is_short_every_state() -> None:
    changes = [change for walk in walks() for change in itertools.pairwise(walk[:ROUNDS])]
    if EVERYTHING:
        assert sorted(changes) == sorted(itertools.product(STATES, STATES))
    else:
        assert len(set(changes)) == 9
        assert {state for change in changes for state in change} == set(STATES)


@pytest.mark.once  # it takes minutes: with other kernels in `make torture`
def test_from_every_state_to_every_state_with_a_pod_attached_meanwhile(
    tool: Tool, sriov: Plugin, pods: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Three PFs at once; a pod has a VF of one of them, and keeps it until its DEL."""
    pod = pods("pod")
    paths = walks()
    for number in range(ROUNDS):
        wanted = {pf: walk[min(number, len(walk) - 1)] for pf, walk in zip(PFS, paths, strict=True)}
        tool.want(*(state.wanted(pf) for pf, state in wanted.items()))
        holding = PFS[number % len(PFS)]
        config = _attach(sriov, pod, holding)
        outcome = tool.node("apply")
        assert outcome.document["problems"] == [], outcome
        unlike = [pf for pf, state in wanted.items() if drivers(pf) != state.drivers()]
        if config is not None:
            assert card.pod_link("pod")["ifname"] == "net1"
            assert unlike in ([], [holding])
            if unlike:
                assert outcome.status == 11
                assert (
                    "belongs to interface net1 of container pod"
                    in outcome.in_use[str(config["deviceID"])]
                )
            assert sriov("DEL", config, netns=pod).status == 0
            outcome = tool.node("apply")
        assert outcome.status == 0, outcome
        assert {pf: drivers(pf) for pf in PFS} == {pf: s.drivers() for pf, s in wanted.items()}
        assert {autoprobe(pf) for pf in PFS} == {"1"}
        again = tool.node("apply")
        assert (again.status, again.taken) == (0, [])
        with capsys.disabled():  # the lab ends a guest that is silent for long
            print(".", end="", flush=True)


def _attach(sriov: Plugin, pod: str, pf: str) -> dict[str, object] | None:
    """Give a pod a VF; None if the PF has none with a kernel driver."""
    vf = next((n for n, driver in enumerate(drivers(pf)) if driver == "igbvf"), None)
    if vf is None:
        return None
    config = DEVICE | {"deviceID": card.vf_address(pf, vf)}
    added = sriov("ADD", config, netns=pod)
    assert added.status == 0, added
    return config


def test_a_second_apply_opens_nothing_for_writing(tool: Tool, tmp_path: Path) -> None:
    tool.want(MIXED_THREE.wanted(PFS[0], mtu=1400))
    assert tool.node("apply").status == 0
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "--seccomp-bpf", "-e", "trace=open,openat", "-o", str(trace))
    done = subprocess.run([*strace, *tool.command("node", "apply")], capture_output=True, text=True)
    assert done.returncode == 0, done
    written = [
        line
        for line in trace.read_text().splitlines()
        if "O_RDONLY" not in line and ('"/sys' in line or '"/proc' in line)
    ]
    assert written == []
    assert "The node is as its files want it." in done.stdout


def test_mtu_and_port_are_set(tool: Tool) -> None:
    run("ip", "link", "set", PFS[0], "down")
    tool.want(SEVEN.wanted(PFS[0], mtu=1400))
    outcome = tool.node("apply")
    assert outcome.taken == ["set MTU 1400", "bring up "]
    said = run("ip", "link", "show", "dev", PFS[0])
    assert "mtu 1400" in said
    assert ",UP" in said


def test_vfs_for_vfio_are_never_seen_by_their_kernel_driver(tool: Tool) -> None:
    card.enable_vfs(PFS[0], 0)
    run("dmesg", "--clear")
    tool.want(State(7, tuple(range(7))).wanted(PFS[0]))
    assert tool.node("apply").status == 0
    assert drivers(PFS[0]) == ["vfio-pci"] * 7
    probed = [
        line for line in run("dmesg").splitlines() if "igbvf" in line and "removed" not in line
    ]
    assert probed == []


def test_a_reset_takes_the_vfs_back_and_says_who_has_one(
    tool: Tool, sriov: Plugin, pods: Callable[[str], str]
) -> None:
    pod = pods("pod")
    config = DEVICE | {"deviceID": card.vf_address(PFS[0], 2)}
    assert sriov("ADD", config, netns=pod).status == 0
    refused = tool.node("reset", PFS[0], "--yes")
    assert refused.status == 11
    assert list(refused.in_use) == [config["deviceID"]]
    assert len(drivers(PFS[0])) == 7
    assert sriov("DEL", config, netns=pod).status == 0
    assert tool.node("reset", PFS[0], "--yes").status == 0
    assert drivers(PFS[0]) == []


def test_waiting_for_a_pod_prepares_the_card_when_it_goes(
    tool: Tool, sriov: Plugin, pods: Callable[[str], str]
) -> None:
    pod = pods("pod")
    config = DEVICE | {"deviceID": card.vf_address(PFS[0], 2)}
    assert sriov("ADD", config, netns=pod).status == 0
    tool.want(THREE.wanted(PFS[0]))
    command = tool.command("node", "apply", "--wait", "100")
    waiting = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(10)
    assert len(drivers(PFS[0])) == 7
    assert sriov("DEL", config, netns=pod).status == 0
    _, stderr = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert stderr.count(f"Waiting: VF 2 of {PFS[0]} ({config['deviceID']}) cannot go") == 1
    assert len(drivers(PFS[0])) == 3


def test_a_pf_is_found_by_its_cards_mac_which_a_bond_has_changed(tool: Tool) -> None:
    (before,) = run_json("ip", "-j", "-d", "link", "show", "dev", PFS[0])
    run("ip", "link", "set", PFS[0], "address", "02:00:00:00:00:99")
    try:
        for mac in (before["address"], "02:00:00:00:00:99"):
            tool.want({"match": {"mac": mac}, "mtu": 1400})
            planned = tool.node("plan")
            assert [step["pf"] for step in planned.document["steps"]] == [card.pci_address(PFS[0])]
    finally:
        run("ip", "link", "set", PFS[0], "address", before["address"])

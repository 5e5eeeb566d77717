# SPDX-License-Identifier: Apache-2.0
"""A target: a kind of input, where it is put before a call, and the judgement on a case of it."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from ipam.__main__ import main as fixipam
from sriov_cni.__main__ import main as sriov
from sriov_cni.device import handover
from sriov_cni.kernel import netns, patience
from tests.hostile.case import Case, decode
from tests.hostile.execution import SLOW, Ending, execute, faults, paths_named, strays
from tests.hostile.node import SandboxNode, empty, end_processes
from tests.hostile.sandbox import WRITABLE

EXECUTABLES = {"sriov": sriov, "fixipam": fixipam}
_OFF_LIMITS = (*(path for path in WRITABLE if path != "/var/lib"), "/proc")


class FuzzTarget(NamedTuple):
    """A kind of input.

    `seeds` are cases that are right, or nearly. `arrange` puts a case's further parts where the
    call will read them. `reversible`: a DEL with the same input must leave nothing. `rules` is the
    whole judgement where a function is tried and no executable.
    """

    executable: str
    seeds: Callable[[], Sequence[Case]]
    arrange: Callable[[SandboxNode, Case], None] = lambda node, case: None
    reversible: bool = False
    rules: Callable[[Case], list[str]] | None = None


def judge(target: FuzzTarget, data: bytes) -> list[str]:
    """Serve the call that a case describes and return the rules it broke."""
    case = decode(data)
    if target.rules is not None:
        return target.rules(case)
    if any(os.path.normpath(path).startswith(_OFF_LIMITS) for path in paths_named(case)):
        return []  # a node's operator may have the log written over it; this one may not
    problems = _judge(target, case)
    # a machine that stood still is no fault of the plugin's: what is slow is slow twice
    return _judge(target, case) if any(SLOW in problem for problem in problems) else problems


def _judge(target: FuzzTarget, case: Case) -> list[str]:
    node = _node()
    home = os.stat("/proc/thread-self/ns/net")
    problems: list[str] = []
    try:
        target.arrange(node, case)
        problems += _serve(target, case)
        problems += strays(case)
        if not os.path.samestat(home, os.stat("/proc/thread-self/ns/net")):
            problems.append("the process is in another network namespace")
    finally:
        end_processes()
        changed = node.put_in_order() if _is_touched() else ""
        empty("/var/lib")
        os.mkdir("/var/lib/cni", 0o700)
    if target.reversible and changed:
        problems.append(f"not undone: {changed}")
    return problems


def _is_touched() -> bool:
    return os.listdir("/var/lib") != ["cni"] or os.listdir("/var/lib/cni") != []


@cache
def _node() -> SandboxNode:
    # What waits for a driver or a dying namespace waits for nothing in the sandbox.
    handover.ARRIVAL_PATIENCE = patience.PATIENCE = 0.02
    netns.host()
    return SandboxNode()


def _serve(target: FuzzTarget, case: Case) -> Iterator[str]:
    main = EXECUTABLES[target.executable]
    environment = {key: value for key, value in case.environment.items() if key != b"CNI_PATH"}
    environment[b"CNI_PATH"] = _harmless(case.environment.get(b"CNI_PATH", b""))

    def call(command: bytes) -> Ending:
        return execute(main, environment | {b"CNI_COMMAND": command}, case.stdin)

    if case.environment.get(b"BEFORE") == b"ADD":
        yield from faults(call(b"ADD"))
    ending = call(case.command)
    for fault in faults(ending):
        yield f"{fault}: {ending}"
    if not target.reversible or not _is_touched():
        return
    undone = call(b"DEL")
    yield from (f"DEL: {fault}" for fault in faults(undone))
    if case.command == b"ADD" and ending.status < undone.status:
        yield f"DEL fails after an ADD that did not: {undone}"


def _harmless(path: bytes) -> bytes:
    """Return CNI_PATH without the directories of this machine's own programs."""
    parts = path.split(b":")
    return b":".join(p for p in parts if not os.path.isdir(p) or p.startswith(b"/var/lib/"))

# SPDX-License-Identifier: Apache-2.0
"""`sriovctl rescan` and `reload`: requests to the agent, which alone of all commands need it."""

import json
import socket
from typing import Any

import click

from sriov_node.control import RELOAD, RESCAN, SOCKET
from sriovctl import exits

_PATIENCE = 30.0  # seconds


@click.command(epilog="\b\nExamples:\n  sriovctl rescan")
def rescan() -> None:
    """Have the agent look at all devices anew; events tell it of changes anyway."""
    _tell(_ask(RESCAN))


@click.command(epilog="\b\nExamples:\n  sriovctl reload")
def reload() -> None:
    """Have the agent read its configuration anew; it sees changed files anyway."""
    _tell(_ask(RELOAD))


def _ask(request: str) -> dict[str, Any]:
    """Return the agent's answer; raise Failed if none answers."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_PATIENCE)
            sock.connect(SOCKET)
            sock.sendall(f"{request}\n".encode())
            with sock.makefile("rb") as answers:
                answer: dict[str, Any] = json.loads(answers.readline())
                return answer
    except (OSError, ValueError) as error:
        raise exits.Failed(
            f"no agent answers at {SOCKET}: {error}; see: systemctl status sriov-agent"
        ) from None


def _tell(answer: dict[str, Any]) -> None:
    if "error" in answer:
        raise exits.Failed(f"the agent says: {answer['error']}")
    for name, count in answer["resources"].items():
        click.echo(f"{name}: {count} devices")
    for fault in answer["faults"]:
        click.echo(f"Fault: {fault}", err=True)

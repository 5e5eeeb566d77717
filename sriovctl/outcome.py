# SPDX-License-Identifier: Apache-2.0
"""What `sriovctl node` prints of plans and of what came of them, and the exit code of either."""

from collections.abc import Iterable, Iterator
from typing import Any

import click

from sriov_node.preparation.apply import Result
from sriov_node.preparation.facts import Facts
from sriov_node.preparation.step import Plan, Refusal, Step
from sriov_node.preparation.wanted import WantedNode
from sriovctl import console, exits

_COLUMNS = console.columns("DEVICE device", "STEP step", "REASON reason", "COST cost")
_NOTHING = "The node's files name no PF: there is nothing to prepare."


def show_plan(form: str, found: Plan, wanted: WantedNode, facts: Facts) -> None:
    """Print a plan: its steps, and what is in their way."""
    if form == console.JSON:
        console.show_json(_value(found, wanted))
        return
    if found.steps:
        console.show(form, _COLUMNS, [_row(step, facts) for step in found.steps])
    _show_left(found, wanted, facts)


def show_result(form: str, result: Result, wanted: WantedNode, facts: Facts) -> None:
    """Print what came of an application; its steps were told as they were taken."""
    if form == console.JSON:
        taken = [_step(step) for step in result.taken]
        problems = list(result.problems)
        console.show_json({"taken": taken, "problems": problems, **_value(result.left, wanted)})
        return
    for problem in result.problems:
        click.echo(f"Failed: {problem}", err=True)
    _show_left(result.left, wanted, facts)


def tell(step: Step, facts: Facts) -> None:
    """Print a step that is about to be taken: some take long."""
    click.echo(f"{_title(step.pf, step.vf, facts)}: {step.words}: {step.reason}")


def tell_waiting(refusals: Iterable[Refusal], facts: Facts) -> None:
    """Print what is waited for."""
    for refusal in refusals:
        click.echo(f"Waiting: {refusal_text(refusal, facts)}", err=True)


def exit_code(left: Plan, wanted: WantedNode, problems: Iterable[str] = ()) -> int:
    """Return the exit code for what is left."""
    if wanted.faults or left.faults or tuple(problems):
        return exits.PROBLEM
    if left.refusals:
        return exits.REFUSED
    return exits.OK if left.is_reached else exits.PROBLEM


def refusal_text(refusal: Refusal, facts: Facts) -> str:
    """Return a refusal as a sentence."""
    device = _title(refusal.pf, refusal.vf, facts)
    where = f" ({refusal.address})" if refusal.vf is not None else ""
    return f"{device}{where} cannot {refusal.step}: it {'; it '.join(refusal.uses)}"


def _show_left(left: Plan, wanted: WantedNode, facts: Facts) -> None:
    for text in _faults(left, wanted):
        click.echo(f"Fault: {text}", err=True)
    for refusal in left.refusals:
        click.echo(f"In use: {refusal_text(refusal, facts)}", err=True)
    for note in left.notes:
        click.echo(f"Note: {note}")
    if not wanted.functions and not wanted.faults:
        click.echo(_NOTHING)
    elif left.is_reached and not wanted.faults:
        click.echo("The node is as its files want it.")


def _value(left: Plan, wanted: WantedNode) -> dict[str, Any]:
    return {
        "reached": left.is_reached and not wanted.faults,
        "steps": [_step(step) for step in left.steps],
        "refusals": [refusal._asdict() for refusal in left.refusals],
        "faults": list(_faults(left, wanted)),
    }


def _faults(left: Plan, wanted: WantedNode) -> Iterator[str]:
    yield from map(str, wanted.faults)
    yield from left.faults


def _step(step: Step) -> dict[str, Any]:
    return {**step._asdict(), "action": step.action.value}


def _row(step: Step, facts: Facts) -> dict[str, str]:
    device = _title(step.pf, step.vf, facts)
    return {"device": device, "step": step.words, "reason": step.reason, "cost": step.cost}


def _title(address: str, vf: int | None, facts: Facts) -> str:
    pf = facts.pfs.get(address)
    if vf is not None:
        return f"VF {vf} of {pf.names[0] if pf is not None and pf.names else address}"
    return pf.title if pf is not None else address or "node"

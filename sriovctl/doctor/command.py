# SPDX-License-Identifier: Apache-2.0
"""The command `sriovctl doctor`: it runs the checks, and prints what they find."""

import sys
from collections.abc import Sequence

import click

from sriov_cni.kernel.errors import KernelError
from sriov_node.preparation import configuration
from sriovctl import console, exits, picture
from sriovctl.doctor import cards, kubelet, settings, state
from sriovctl.doctor.finding import Check, Finding, Node
from sriovctl.places import Places, pass_places

CHECKS: Sequence[Check] = (*settings.CHECKS, *cards.CHECKS, *state.CHECKS, *kubelet.CHECKS)
_COLUMNS = console.columns("CHECK check", "LOOKS FOR looksFor")
_EPILOG = """\b
Examples:
  sriovctl doctor
  sriovctl doctor pf-down driver
  sriovctl doctor -o json | jq '.[].remedy'

\b
Exit codes:
  0   nothing was found
  1   something was found
"""


@click.command(epilog=_EPILOG)
@click.argument("checks", nargs=-1, metavar="[CHECK]...")
@click.option("--list", "is_list", is_flag=True, help="List the checks instead.")
@console.output_option
@pass_places
def doctor(places: Places, checks: tuple[str, ...], is_list: bool, form: str) -> None:
    """Look for what is known to go wrong, and say the remedy of what is found.

    Nothing is changed. A remedy is a command where one line does it; run it as root.
    """
    known = {check.name: check for check in CHECKS}
    for name in checks:
        if name not in known:
            raise click.BadParameter(f"{name} is no check; there are {', '.join(known)}")
    chosen = [known[name] for name in checks] or CHECKS
    if is_list:
        rows = [{"check": check.name, "looksFor": check.looks_for} for check in chosen]
        console.show(form, _COLUMNS, rows)
        return
    node = examine(places)
    found = [(check, finding) for check in chosen for finding in run(check, node)]
    if form == console.JSON:
        console.show_json([{"check": check.name, **f._asdict()} for check, f in found])
    for check, finding in found if form != console.JSON else ():
        click.echo(f"{check.name}: {finding.problem}\n    remedy: {finding.remedy}")
    if not found and form != console.JSON:
        click.echo(f"{len(chosen)} checks: nothing is wrong.")
    sys.exit(exits.PROBLEM if found else exits.OK)


def examine(places: Places) -> Node:
    """Return what the checks look at; raise Failed if the kernel does not tell of it."""
    seen = picture.take(places)
    try:
        facts = seen.facts()
    except KernelError as error:
        raise exits.Failed(str(error)) from None
    return Node(places, seen, configuration.read(places.config_dir), facts)


def run(check: Check, node: Node) -> list[Finding]:
    """Return what a check finds; that it fails itself is a finding, too."""
    try:
        return list(check.find(node))
    except Exception as error:
        # one check that meets something new must not hide what the others find
        problem = f"could not look: {type(error).__name__}: {error}"
        return [Finding(problem, "report it, with the output of `sriovctl bundle`")]

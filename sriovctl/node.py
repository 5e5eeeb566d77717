# SPDX-License-Identifier: Apache-2.0
"""`sriovctl node`: prepare the node's cards as its file wants them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.errors import CniError
from sriov_cni.kernel.errors import KernelError
from sriov_node import names, readiness
from sriov_node.inventory.scan import Inventory
from sriov_node.preparation import boot, configuration, marker, observation
from sriov_node.preparation.apply import Listener, Result, apply
from sriov_node.preparation.facts import Facts, Pf
from sriov_node.preparation.pf import Site
from sriov_node.preparation.plan import plan, unprepared
from sriov_node.preparation.wanted import WantedNode
from sriovctl import console, devices, exits, outcome
from sriovctl.importing.command import export_command
from sriovctl.places import Places, pass_places

_EXIT_CODES = """\b
Exit codes:
  0   the node is as its file wants it
  1   something is wrong: a fault in the file, a refusal of the kernel,
      or for `plan` a step that is to be taken
  11  a device is in use; the rest was done
  64  the command line is wrong
"""


@click.group(name="node", epilog=_EXIT_CODES)
def node() -> None:
    """Prepare the node's cards: VFs, their drivers, MTU and eswitch mode.

    What is wanted stands in /etc/sriov/node.json and in node.d/*.json beside it. Only PFs that are
    named there are touched, and a VF that anybody uses never is.
    """


node.add_command(export_command)


@node.command(
    name="plan",
    epilog="\b\nExamples:\n  sriovctl node plan\n  sriovctl node plan -o json | jq .steps",
)
@console.output_option
@pass_places
def plan_command(places: Places, form: str) -> None:
    """Say what `apply` would do, and why; change nothing."""
    wanted = _read(places)
    with _problems():
        facts = _site(places).look("")
    outcome.show_plan(form, plan(wanted, facts), wanted, facts)
    sys.exit(outcome.exit_code(plan(wanted, facts), wanted))


@node.command(
    name="apply",
    epilog="\b\nExamples:\n  sriovctl node apply\n  sriovctl node apply --wait 600",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait so long for VFs in use; their PF's free VFs are given to no pod meanwhile.",
)
@click.option(
    "--boot",
    "at_boot",
    is_flag=True,
    help="Wait for PFs that are not there yet, as sriov-node.service does.",
)
@click.option("--dry-run", is_flag=True, help="The same as `sriovctl node plan`.")
@console.output_option
@click.pass_context
def apply_command(
    context: click.Context, /, wait: float, at_boot: bool, dry_run: bool, form: str
) -> None:
    """Make the node what its file wants; do nothing if it is.

    A step that would take a VF from a pod, a program or the host is not taken: you are told who has
    it. The other PFs are prepared all the same.
    """
    if dry_run:
        context.invoke(plan_command, form=form)
        return
    places: Places = context.obj
    wanted = _read(places)
    with _problems():
        site, listener = _site(places, create=True), _listener(form)
        if at_boot:
            result = boot.prepare(site, listener, wanted, readiness.tell_systemd)
        else:
            result = apply(site, listener, wanted, wait)
        _finish(form, result, site.look(""), wanted)


@node.command(
    name="reset",
    epilog="\b\nExamples:\n  sriovctl node reset ens1f0\n  sriovctl node reset 3b:00.0",
)
@click.argument("pf")
@click.option("--yes", is_flag=True, help="Do not ask.")
@console.output_option
@pass_places
def reset_command(places: Places, pf: str, yes: bool, form: str) -> None:
    """Take all VFs of a PF back, and its eswitch to legacy mode.

    For a PF that is in the file no more; refused while one of its VFs is in use.
    """
    with _problems():
        site = _site(places, create=True)
        found = _pf(pf, site.look(""))
        if not yes:
            click.confirm(f"Take the {len(found.vfs)} VFs of {found.title} back?", abort=True)
        wanted = WantedNode((unprepared(found),))
        _finish(form, apply(site, _listener(form), wanted), site.look(""), wanted)


def _pf(text: str, facts: Facts) -> Pf:
    """Return the PF that somebody means by a name or an address."""
    try:
        address = names.pci_address(text)
    except ValueError:
        address = ""
    for pf in facts.pfs.values():
        if text in pf.names or address == pf.address:
            return pf
    raise devices.unknown(text, "PF", [pf.title for pf in facts.pfs.values()])


@contextmanager
def _problems() -> Iterator[None]:
    """Turn what nothing can be done without into an error of the command."""
    try:
        yield
    except (CniError, KernelError) as error:
        raise exits.Failed(str(error)) from None


def _read(places: Places) -> WantedNode:
    """Return what the node's files want, and say what is odd in them."""
    wanted = configuration.read(places.config_dir)
    for warning in wanted.warnings:
        click.echo(f"Warning: {warning}", err=True)
    return wanted


def _site(places: Places, create: bool = False) -> Site:
    inventory = Inventory(places.data_dir, keeps=False)

    def look(ours: str) -> Facts:
        return observation.look(inventory, places.kubelet_dir, marker.held() - {ours})

    return Site(look, AttachmentRecords(places.data_dir, create=create))


def _listener(form: str) -> Listener:
    telling = outcome.tell if form != console.JSON else lambda step, facts: None
    return Listener(telling, outcome.tell_waiting)


def _finish(form: str, result: Result, facts: Facts, wanted: WantedNode) -> NoReturn:
    """Print what came of an application, and exit."""
    outcome.show_result(form, result, wanted, facts)
    sys.exit(outcome.exit_code(result.left, wanted, result.problems))

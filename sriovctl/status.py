# SPDX-License-Identifier: Apache-2.0
"""`sriovctl status`: one screen, and an exit code for monitoring."""

import sys
from typing import Any

import click

from sriov_cni.kernel.errors import KernelError
from sriov_node.device_plugin.pool import Pool
from sriov_node.inventory.device import State
from sriov_node.kubelet import paths
from sriov_node.preparation import configuration
from sriov_node.preparation.plan import plan
from sriovctl import console, exits, picture
from sriovctl.picture import Picture
from sriovctl.places import Places, pass_places

_COLUMNS = console.columns(
    *("RESOURCE resource", "TOTAL total", "FREE free", "IN PODS inPods", "UNHEALTHY unhealthy"),
)
_EPILOG = """\b
Examples:
  sriovctl status
  sriovctl status -o json | jq .problems

\b
Exit codes:
  0   nothing is wrong
  1   something should be looked at
  2   pods cannot have devices
"""


@click.command(epilog=_EPILOG)
@console.output_option
@pass_places
def status(places: Places, form: str) -> None:
    """Tell whether pods can have devices, and what is wrong."""
    node = picture.take(places)
    prepared, in_its_way = _preparation(places, node)
    critical, problems = _critical(places, node), [*_problems(node), *in_its_way]
    resources = [_resource(node, pool) for pool in node.pools.values()]
    code = exits.CRITICAL if critical else exits.PROBLEM if problems else exits.OK
    if form == console.JSON:
        said = {"critical": critical, "problems": problems}
        console.show_json({"status": code, "prepared": prepared, "resources": resources, **said})
        sys.exit(code)
    attached = sum(d.use.state is State.ATTACHED for d in node.vfs())
    pfs = len(node.snapshot.pfs)
    as_wanted = ", as the node's files want them" if prepared else ""
    click.echo(f"{pfs} PFs, {sum(1 for _ in node.vfs())} VFs{as_wanted}; {attached} attached")
    if resources:
        console.show(form, _COLUMNS, resources)
    for text in critical:
        click.echo(f"Critical: {text}")
    for text in problems:
        click.echo(f"Problem: {text}")
    if code == exits.OK:
        click.echo("Nothing is wrong.")
    sys.exit(code)


def _resource(node: Picture, pool: Pool) -> dict[str, Any]:
    offers = pool.offers.values()
    given = [offer for offer in offers if node.holder(offer.device) is not None]
    free = [o for o in offers if o.healthy and o not in given and o.device.use.state is State.FREE]
    return {
        "resource": pool.resource.name,
        "total": len(pool.offers),
        "free": len(free),
        "inPods": len(given),
        "unhealthy": sum(not offer.healthy for offer in offers),
    }


def _critical(places: Places, node: Picture) -> list[str]:
    """Return why pods cannot have devices, or not all of them."""
    found = []
    if node.pools and not picture.serving_sockets(places):
        found.append(
            "no agent serves kubelet: see `systemctl status sriov-agent`, or its pod's log"
        )
    if node.pools and node.holders is None:
        socket = paths.pod_resources(places.kubelet_dir)
        found.append(f"kubelet does not answer at {socket}: see `systemctl status kubelet`")
    found += [f"kubelet does not know of {n}" for n in picture.unregistered(places, node)]
    for name, pool in node.pools.items():
        if not any(offer.healthy for offer in pool.offers.values()):
            found.append(f"{name} has no healthy device: see `sriovctl explain {name}`")
    return found


def _problems(node: Picture) -> list[str]:
    """Return what should be looked at."""
    found = [str(fault) for fault in node.configuration.faults]
    for device in node.vfs():
        if device.use.state is State.LOST:
            found.append(f"{device.id} is lost: it {device.use.reason}; see `sriovctl doctor`")
    return found


def _preparation(places: Places, node: Picture) -> tuple[bool | None, list[str]]:
    """Tell whether the node is as its files want it, and what to look at if not; None: nothing."""
    wanted = configuration.read(places.config_dir)
    faults = [str(fault) for fault in wanted.faults]
    if not wanted.functions:
        return False if faults else None, faults
    try:
        facts = node.facts()
    except KernelError as error:
        return False, [*faults, str(error)]
    if plan(wanted, facts).is_reached:
        return not faults, faults
    return False, [*faults, "the node is not as its files want it: see `sriovctl node plan`"]

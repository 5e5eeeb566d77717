# SPDX-License-Identifier: Apache-2.0
"""`sriovctl explain`: why a device is offered, or is not, and who has it."""

from collections.abc import Iterator
from typing import Any

import click

from sriov_node.device_plugin.assignment import summary
from sriov_node.device_plugin.pool import Pool
from sriov_node.device_plugin.selectors import Refusal, taker
from sriov_node.inventory.device import Device, State
from sriovctl import console, devices, picture
from sriovctl.picture import Picture, name_of_pf
from sriovctl.places import Places, pass_places

_form = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice([console.TABLE, console.JSON]),
    default=console.TABLE,
    show_default=True,
    help="Sentences, or JSON for programs.",
)


@click.command(
    epilog="\b\nExamples:\n  sriovctl explain 0000:3b:02.1\n  sriovctl explain ens1f0#3\n"
    "  sriovctl explain ens1f0v3\n  sriovctl explain intel.com/net"
)
@click.argument("what", metavar="DEVICE|RESOURCE", shell_complete=devices.complete_any)
@_form
@pass_places
def explain(places: Places, what: str, form: str) -> None:
    """Say which resource takes a device, or which selector refuses it, and who has it.

    Of a resource: which devices it has, and which key of its selectors refused how many.
    """
    node = picture.take(places)
    pool = node.pools.get(what) or _by_short_name(node, what)
    if pool is not None:
        value = _resource(node, pool)
    else:
        found = devices.device(node, what)
        if found is None:
            raise devices.unknown(what, "device or resource", [*node.pools, *devices.known(node)])
        value = _device(node, found)
    if form == console.JSON:
        console.show_json(value)
    else:
        for line in value["says"]:
            click.echo(line)


def _by_short_name(node: Picture, name: str) -> Pool | None:
    return next((p for p in node.pools.values() if p.resource.short_name == name), None)


def _device(node: Picture, device: Device) -> dict[str, Any]:
    resource = node.resource(device)
    offer = node.pools[resource].offers[device.id] if resource else None
    refusals = {}
    if not resource:
        for each in node.configuration.resources:
            answer = taker(each, device)
            if isinstance(answer, Refusal):
                refusals[each.name] = answer.text
    says = [f"{_title(device)}, {_driver(device)}.", *_whose(node, device)]
    if offer is not None:
        health = "healthy" if offer.healthy else f"unhealthy: it {offer.reason}"
        says.append(f"It belongs to resource {resource}, and is {health}.")
    else:
        says.append(f"No resource has it: {node.assignment.refused.get(device.id, 'it is new')}.")
        says += [f"  {name} refuses it by {text}" for name, text in refusals.items()]
    return {
        "device": device.id,
        "resource": resource or None,
        "healthy": offer.healthy if offer is not None else None,
        "refusals": refusals,
        "state": device.use.state.value,
        "says": says,
    }


def _title(device: Device) -> str:
    kind = f"VF {device.number} of {name_of_pf(device)}" if device.pf is not None else "PF"
    names = f" ({', '.join(device.netdevs)})" if device.netdevs else ""
    return f"{device.id}{names} is {'a ' if device.pf is None else ''}{kind}"


def _driver(device: Device) -> str:
    return f"bound to {device.driver}" if device.driver else "bound to no driver"


def _whose(node: Picture, device: Device) -> Iterator[str]:
    """Yield who has a device: what each witness says."""
    if device.use.state is State.FREE:
        yield "No record claims it, and the host does not use it."
    else:
        yield f"It {device.use.reason} ({device.use.state.value})."
    holder = node.holder(device)
    if holder is not None:
        who = f"container {holder.container} of pod {holder.namespace}/{holder.pod}"
        yield f"Kubelet gave it to {who}, as {holder.resource}."
    elif node.holders is None:
        yield "Kubelet does not answer, so whether it gave it to a pod is unknown."


def _resource(node: Picture, pool: Pool) -> dict[str, Any]:
    offers = pool.offers
    says = [f"{summary(node.assignment, pool.resource.name)}."]
    for device_id, offer in offers.items():
        state = offer.reason or offer.device.use.state.value
        holder = node.holder(offer.device)
        whose = f", pod {holder.namespace}/{holder.pod}" if holder is not None else ""
        health = "healthy" if offer.healthy else "unhealthy"
        says.append(f"  {device_id} {_place(offer.device)}: {health}, {state}{whose}")
    if not offers:
        refused = node.assignment.refused
        says += [f"  {device_id}: {text}" for device_id, text in list(refused.items())[:20]]
    return {
        "resource": pool.resource.name,
        "devices": list(offers),
        "unhealthy": {id_: offer.reason for id_, offer in offers.items() if not offer.healthy},
        "refusals": dict(node.assignment.refusals[pool.resource.name]),
        "says": says,
    }


def _place(device: Device) -> str:
    return f"{name_of_pf(device)}#{device.number}" if device.number is not None else ""

# SPDX-License-Identifier: Apache-2.0
"""Which device somebody means: by PCI address, by the name of a network device, or as PF#index."""

import difflib
from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from sriov_node import names
from sriov_node.inventory.device import Device
from sriovctl import exits, picture
from sriovctl.picture import Picture, name_of_pf
from sriovctl.places import Places


def pf(node: Picture, text: str) -> Device:
    """Return a PF; raise Failed with the names that there are."""
    for device in node.pfs():
        if text in device.pf_names or _address(text) == device.id:
            return device
    raise unknown(text, "PF", [name_of_pf(device) or device.id for device in node.pfs()])


def device(node: Picture, text: str) -> Device | None:
    """Return the PF or VF that is meant, None if it is none."""
    address = _address(text)
    for each in node.snapshot.devices.values():
        if text == each.id or text in each.netdevs or address == each.id:
            return each
    owner, sharp, number = text.partition("#")
    for each in node.vfs():
        if sharp and owner in (*each.pf_names, each.pf) and number == str(each.number):
            return each
    return next((each for each in node.pfs() if text in each.pf_names), None)


def known(node: Picture) -> list[str]:
    """Return what `device` understands."""
    found = []
    for each in (*node.pfs(), *node.vfs()):
        found += [each.id, *each.netdevs]
        if each.pf is not None:
            found.append(f"{name_of_pf(each)}#{each.number}")
    return found


def require(node: Picture, text: str) -> Device:
    """Return the PF or VF that is meant; raise Failed with names like it."""
    found = device(node, text)
    if found is None:
        raise unknown(text, "PF or VF", known(node))
    return found


def complete_pf(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of a PF."""
    node = picture.take(context.find_object(Places) or Places())
    return _items((name_of_pf(each) for each in node.pfs()), begun)


def complete_any(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete a device or a resource."""
    node = picture.take(context.find_object(Places) or Places())
    return _items((*known(node), *node.pools), begun)


def unknown(text: str, kind: str, there: list[str]) -> exits.Failed:
    """Return the error for a name that means nothing, with names like it."""
    near = difflib.get_close_matches(text, there, 3) or there[:3] or ["none"]
    return exits.Failed(f"{text} is no {kind} of this node; there is {', '.join(near)}")


def _items(candidates: Iterable[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(text) for text in candidates if text.startswith(begun)]


def _address(text: str) -> str:
    try:
        return names.pci_address(text)
    except ValueError:
        return ""

# SPDX-License-Identifier: Apache-2.0
"""Print the README's picture, docs/pod.svg: a pod and the cards behind its interfaces."""

from collections.abc import Iterator
from typing import NamedTuple


class Network(NamedTuple):
    """An interface of the pod and what is behind it; `vf` None: an ordinary network device."""

    interface: str
    address: str
    device: str
    vf: int | None
    wire: str
    color: str
    x: int


NETWORKS = (
    Network("eth0", "10.244.1.7", "eno1", None, "cluster network", "#566171", 150),
    Network("net1", "10.55.206.46", "eth1", 1, "VLAN 100", "#0a66c2", 408),
    Network("net2", "10.20.0.9", "eth2", 2, "VLAN 200", "#a8500a", 706),
)
CAPTION = (
    "ADD: sriov moves a VF into the pod,",
    "fixipam grants its address.",
    "DEL: the VF comes back as it was.",
)
VFS = 4  # of each card
WIDTH, HEIGHT = 880, 590
# The picture has its own background, so that it looks the same on light and on dark pages.
WHITE, NODE, LINE, INK, PALE = "#ffffff", "#eef1f5", "#98a2b0", "#1c2430", "#566171"
CHIP, CELL = 190, 50  # widths
POD, CHIPS, CARDS, END = 56, 96, 352, 522  # heights: where the pod begins, and so on


def box(x: int, y: int, width: int, height: int, fill: str, line: str = LINE) -> str:
    """Return a rectangle with round corners."""
    size = f'x="{x}" y="{y}" width="{width}" height="{height}"'
    return f'<rect {size} rx="7" fill="{fill}" stroke="{line}" stroke-width="1.5"/>'


def text(x: int, y: int, words: str, color: str = INK, more: str = "") -> str:
    """Return a line of text, centred at x unless `more` says otherwise."""
    return f'<text x="{x}" y="{y}" fill="{color}"{more}>{words}</text>'


def wire(points: str, color: str) -> str:
    """Return a thick line."""
    return f'<path d="{points}" fill="none" stroke="{color}" stroke-width="4"/>'


BOLD, SMALL, LEFT = ' font-weight="bold"', ' font-size="13"', ' text-anchor="start"'


def picture() -> Iterator[str]:
    """Yield the lines of the file."""
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    yield ' font-family="system-ui, DejaVu Sans, sans-serif" font-size="15" text-anchor="middle">'
    yield "<title>A pod with eth0 of the cluster's network, and VFs of two cards</title>"
    yield box(1, 1, WIDTH - 2, HEIGHT - 2, WHITE, "#d5dae1")
    yield box(22, 20, WIDTH - 44, END - 20, NODE)
    yield text(40, 44, "node", PALE, BOLD + LEFT)
    yield box(40, POD, WIDTH - 80, 118, WHITE)
    yield text(56, 82, "pod", INK, BOLD + LEFT)
    yield text(94, 82, "a network namespace of its own", PALE, SMALL + LEFT)
    yield text(40, 200, "the host", PALE, SMALL + LEFT)
    for network in NETWORKS:
        yield from ordinary(network) if network.vf is None else passed_through(network, network.vf)
    for number, words in enumerate(CAPTION):
        yield text(557, 232 + 21 * number, words, INK, SMALL)
    yield "</svg>"


def chip(network: Network) -> Iterator[str]:
    """Yield the interface in the pod, over the end of its wire."""
    yield box(network.x - CHIP // 2, CHIPS, CHIP, 62, network.color, network.color)
    yield text(network.x, CHIPS + 26, network.interface, WHITE, BOLD)
    yield text(network.x, CHIPS + 48, network.address, WHITE, SMALL)


def leaving(network: Network, y: int) -> Iterator[str]:
    """Yield the wire out of the node."""
    yield wire(f"M{network.x} {y}V{END + 24}", network.color)
    yield text(network.x, END + 46, network.wire, network.color, BOLD)


def ordinary(network: Network) -> Iterator[str]:
    """Yield an interface of an ordinary CNI plugin: through the host's kernel."""
    x = network.x
    yield wire(f"M{x} {CHIPS + 60}V{CARDS}", network.color)
    yield from leaving(network, CARDS + 60)
    yield from chip(network)
    yield box(x - 80, 240, 160, 52, WHITE)
    yield text(x, 262, "bridge, routes", INK)
    yield text(x, 281, "ordinary CNI plugin", PALE, SMALL)
    yield box(x - 80, CARDS, 160, 132, WHITE)
    yield text(x, CARDS + 62, f"card {network.device}", INK, BOLD)
    yield text(x, CARDS + 86, "the node's own", PALE, SMALL)


def passed_through(network: Network, vf: int) -> Iterator[str]:
    """Yield an interface that is a VF: between pod and card there is nothing."""
    x, width = network.x, (VFS + 1) * CELL + 22
    left, cells = x - width // 2, CARDS + 16
    place = left + 11 + (vf + 1) * CELL + CELL // 2
    yield from leaving(network, CARDS + 132)
    yield box(left, CARDS, width, 132, WHITE)
    for number, name in enumerate(["PF", *(f"VF {index}" for index in range(VFS))]):
        taken = number == vf + 1
        colors = (network.color, network.color) if taken else (NODE, LINE)
        yield box(left + 13 + number * CELL, cells, CELL - 4, 40, *colors)
        words = left + 11 + number * CELL + CELL // 2
        yield text(words, cells + 25, name, WHITE if taken else PALE, SMALL)
    yield text(x, CARDS + 84, f"SR-IOV card {network.device}", INK, BOLD)
    yield text(x, CARDS + 108, f"puts VF {vf} into {network.wire}", PALE, SMALL)
    middle = (CHIPS + 62 + cells) // 2
    curve = f"M{x} {CHIPS + 60}C{x} {middle} {place} {middle} {place} {cells}"
    yield wire(curve, network.color)
    yield from chip(network)


if __name__ == "__main__":
    print("\n".join(picture()))

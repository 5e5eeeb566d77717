# SPDX-License-Identifier: Apache-2.0
"""Which PF an entry of the node's file means: exactly one, or none, and then why."""

from collections.abc import Iterable
from typing import NamedTuple

from sriov_node.preparation.facts import Pf
from sriov_node.preparation.wanted import Match, Wanted


class Matched(NamedTuple):
    """Entries with their PFs; `absent` are those without one, `faults` says what is wrong."""

    pairs: tuple[tuple[Wanted, Pf], ...] = ()
    absent: tuple[Wanted, ...] = ()
    faults: tuple[str, ...] = ()


def match(functions: Iterable[Wanted], pfs: Iterable[Pf]) -> Matched:
    """Give each entry its PF; two entries never have the same one."""
    there = sorted(pfs, key=lambda pf: pf.address)
    pairs: list[tuple[Wanted, Pf]] = []
    absent, faults = [], []
    places: dict[str, str] = {}
    for wanted in functions:
        found = [pf for pf in there if _fits(wanted.match, pf)]
        if not found:
            absent.append(wanted)
            faults.append(f"{wanted.place}: no PF has {wanted.match}; {_those(there)}")
        elif len(found) > 1:
            titles = ", ".join(pf.title for pf in found)
            faults.append(
                f"{wanted.place}: {wanted.match} is ambiguous: {titles}; add pf or address"
            )
        elif found[0].address in places:
            first = places[found[0].address]
            faults.append(f"{wanted.place}: {found[0].title} is wanted by {first} already")
        else:
            places[found[0].address] = wanted.place
            pairs.append((wanted, found[0]))
    return Matched(tuple(pairs), tuple(absent), tuple(faults))


def _fits(wanted: Match, pf: Pf) -> bool:
    return (
        wanted.pf in ("", *pf.names)
        and wanted.address in ("", pf.address)
        and wanted.mac in ("", *pf.macs)
        and wanted.vendor in ("", pf.vendor)
        and wanted.device in ("", pf.device)
        and wanted.slot in ("", pf.slot)
    )


def _those(there: Iterable[Pf]) -> str:
    titles = ", ".join(pf.title for pf in there)
    return f"there are {titles}" if titles else "this node has no PF"

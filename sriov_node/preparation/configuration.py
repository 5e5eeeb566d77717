# SPDX-License-Identifier: Apache-2.0
"""Reading what the node's files want of its PFs: their keys functions, modules and reconcile.

docs/node.md is the reference of every key. A fault spares the other entries. Nothing here looks at
the node's devices.
"""

from collections.abc import Iterator
from typing import Any

from sriov_cni.cni.document import shown
from sriov_node import names, node_file, ranges
from sriov_node.fields import Fields, Findings, fields
from sriov_node.node_file import NodeFile, NodeFiles
from sriov_node.preparation.wanted import KERNEL, Eswitch, Match, Reconcile, Wanted, WantedNode
from sriov_node.ranges import Range

FUNCTION_KEYS = (
    "match",
    "vfs",
    "mtu",
    "eswitch",
    "drivers",
    "externallyManaged",
    "noIommu",
)
MATCH_KEYS = ("pf", "address", "mac", "vendor", "device", "slot")
_MOST_VFS = 65535  # TotalVFs has 16 bits (PCI Express Base Specification, 9.3.3.5)
MTUS = range(68, 65536)  # what IPv4 needs at least (RFC 791), and what its header has room for
_ESWITCH = names.optional(names.one_of(*(mode.value for mode in Eswitch)))
_RECONCILE = names.one_of(*(each.value for each in Reconcile))
_REPORT = Reconcile.REPORT.value
_DRIVERS = 'an object of ranges and drivers like {"0-3": "kernel", "4-7": "vfio-pci"}'


def read(directory: str = node_file.DIRECTORY) -> WantedNode:
    """Return what a directory's files want; that they cannot be read is a fault, too."""
    return wanted_by(node_file.read(directory))


def wanted_by(files: NodeFiles) -> WantedNode:
    """Return what files want."""
    findings = Findings()
    findings.faults += files.faults
    functions: list[Wanted] = []
    modules: list[str] = []
    reconcile = Reconcile.REPORT
    for file in files.files:
        findings.resource = file.path
        given = fields(file.values, node_file.KEYS, "", findings)
        modules += given.texts(node_file.MODULES, names.module)
        said = given.text(node_file.RECONCILE, _RECONCILE, _REPORT)
        reconcile = Reconcile.FREE if said == Reconcile.FREE.value else reconcile
        functions += _functions(file, given, findings)
    return WantedNode(
        tuple(functions),
        tuple(dict.fromkeys(modules)),
        reconcile,
        tuple(findings.faults),
        tuple(findings.warnings),
    )


def _functions(file: NodeFile, given: Fields, findings: Findings) -> Iterator[Wanted]:
    """Yield a file's entries without a fault."""
    listed = given.values.get(node_file.FUNCTIONS)
    if listed is not None and not isinstance(listed, list):
        given.wrong(node_file.FUNCTIONS, "a list of PFs, [] for none")
    for index, values in enumerate(listed if isinstance(listed, list) else ()):
        findings.resource = f"{file.path}: functions[{index}]"
        faults = len(findings.faults)
        wanted = _function(values, findings)
        if wanted is not None and len(findings.faults) == faults:
            yield wanted._replace(place=findings.resource)


def _function(values: object, findings: Findings) -> Wanted | None:
    """Return an entry, which means nothing if there are faults; None of what is no object."""
    if not isinstance(values, dict):
        findings.fault("entry", shown(values), "an object with match and vfs")
        return None
    given = fields(values, FUNCTION_KEYS, "", findings)
    drivers = tuple(_drivers(given))
    vfs = given.integer("vfs", range(_MOST_VFS + 1))
    for indexes, driver in drivers:
        if vfs is not None and indexes[-1][1] >= vfs:
            findings.fault(
                f"drivers.{ranges.written(indexes)}",
                driver,
                f"for VFs that there will be: with vfs {vfs}, indexes end before {vfs}",
            )
    eswitch = given.text("eswitch", _ESWITCH)
    return Wanted(
        match=_match(given, findings),
        vfs=vfs,
        mtu=given.integer("mtu", MTUS),
        eswitch=Eswitch(eswitch) if eswitch else None,
        drivers=drivers,
        externally_managed=given.boolean("externallyManaged"),
        no_iommu=given.boolean("noIommu"),
    )


def _match(given: Fields, findings: Findings) -> Match:
    value = given.values.get("match")
    if not isinstance(value, dict) or not any(value.values()):
        given.wrong("match", 'an object that tells which PF is meant, like {"pf": "ens1f0"}')
        return Match()
    inner = fields(value, MATCH_KEYS, "match.", findings)
    optional = {
        "pf": inner.text("pf", names.optional(names.plain)),
        "address": inner.text("address", names.optional(names.pci_address)),
        "mac": inner.text("mac", names.optional(names.mac)),
        "vendor": inner.text("vendor", names.optional(names.hexadecimal)),
        "device": inner.text("device", names.optional(names.hexadecimal)),
        "slot": inner.text("slot", names.optional(names.plain)),
    }
    return Match(**{key: text or "" for key, text in optional.items()})


def _drivers(given: Fields) -> Iterator[tuple[tuple[Range, ...], str]]:
    """Yield the drivers by ranges of VFs."""
    value: Any = given.values.get("drivers")
    if value is not None and not isinstance(value, dict):
        given.wrong("drivers", _DRIVERS)
    taken: list[tuple[Range, str]] = []
    for key, driver in value.items() if isinstance(value, dict) else ():
        place = f"drivers.{key}"
        try:
            indexes = tuple(sorted(ranges.parse(key)))
        except ValueError as error:
            given.findings.fault("drivers", f"for {shown(key)}", f"for {error}")
            continue
        if not isinstance(driver, str) or not names.is_module(driver):
            given.findings.fault(place, shown(driver), f'"{KERNEL}" or a driver like "vfio-pci"')
            continue
        double = next(
            (other for mine in indexes for range_, other in taken if _overlap(mine, range_)), None
        )
        if double is not None or any(
            map(_overlap, indexes, indexes[1:])  # sorted: neighbours are enough
        ):
            others = f"{double}'s" if double is not None else "its own"
            given.findings.fault(place, driver, f"for other VFs than {others} ranges")
            continue
        taken += [(range_, key) for range_ in indexes]
        yield indexes, driver


def _overlap(one: Range, other: Range) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]

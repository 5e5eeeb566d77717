# SPDX-License-Identifier: Apache-2.0
"""A running node as its own file: the PFs that have VFs, as they are."""

from typing import Any

from sriov_cni.cni.document import JsonObject
from sriov_node import names, node_file, ranges
from sriov_node.preparation.configuration import MTUS
from sriov_node.preparation.drivers import is_for_userspace
from sriov_node.preparation.facts import Facts, Pf
from sriov_node.preparation.wanted import KERNEL
from sriov_node.ranges import Range


def from_node(facts: Facts) -> JsonObject:
    """Return the file by which preparation would change nothing; `resources` are not in it."""
    pfs = sorted((pf for pf in facts.pfs.values() if pf.vfs), key=lambda pf: pf.address)
    return {node_file.FUNCTIONS: [_function(pf, has_iommu=facts.has_iommu) for pf in pfs]}


def _function(pf: Pf, *, has_iommu: bool) -> JsonObject:
    match = {"address": pf.address, **({"pf": pf.names[0]} if pf.names else {})}
    wanted: dict[str, Any] = {"match": match, "vfs": pf.vfs[-1].number + 1}
    if pf.mtu in MTUS:
        wanted["mtu"] = pf.mtu
    if pf.eswitch is not None:
        wanted["eswitch"] = pf.eswitch.value
    drivers = {ranges.written(indexes): driver for driver, indexes in _drivers(pf).items()}
    if drivers:
        wanted["drivers"] = drivers
    if not has_iommu and any(map(is_for_userspace, drivers.values())):
        wanted["noIommu"] = True
    return wanted


def _drivers(pf: Pf) -> dict[str, list[Range]]:
    """Return the ranges of VFs that are reserved for a driver, or serve user space, by driver."""
    found: dict[str, list[Range]] = {}
    for vf in pf.vfs:
        bound = vf.driver if vf.driver is not None and is_for_userspace(vf.driver) else ""
        driver = vf.override or bound
        if not names.is_module(driver) or driver == KERNEL:
            continue
        listed = found.setdefault(driver, [])
        if listed and listed[-1][1] == vf.number - 1:
            listed[-1] = listed[-1][0], vf.number
        else:
            listed.append((vf.number, vf.number))
    return found

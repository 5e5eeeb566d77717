# SPDX-License-Identifier: Apache-2.0
"""The plan: which steps make the node what is wanted. Pure: it looks at nothing but its arguments.

A plan goes as far as can be known in advance; after its steps, a new one has what is left. So
whatever ends its execution, the next plan goes on from there.
"""

from collections.abc import Iterator

from sriov_node.preparation import drivers
from sriov_node.preparation.facts import Facts, Pf
from sriov_node.preparation.matching import match
from sriov_node.preparation.step import Action, Plan, Refusal, Step
from sriov_node.preparation.wanted import KERNEL, Eswitch, Match, Wanted, WantedNode

# Changes its eswitch's mode only while there are no VFs (ice_eswitch_mode_set() in
# drivers/net/ethernet/intel/ice/ice_eswitch.c). Others, mlx5 first among them, change it with VFs
# that no driver has.
_MODE_BEFORE_VFS = ("ice",)
_PREPARED = "is being prepared by another process"


def plan(wanted: WantedNode, facts: Facts) -> Plan:
    """Return what is to be done on the whole node."""
    matched = match(wanted.functions, facts.pfs.values())
    parts = [plan_pf(function, pf, facts) for function, pf in matched.pairs]
    return Plan(
        steps=(*plan_modules(wanted, facts), *(step for part in parts for step in part.steps)),
        refusals=tuple(refusal for part in parts for refusal in part.refusals),
        faults=(*matched.faults, *(fault for part in parts for fault in part.faults)),
        pfs=tuple(pf.address for _, pf in matched.pairs),
    )


def plan_modules(wanted: WantedNode, facts: Facts) -> tuple[Step, ...]:
    """Return the steps that load the modules which the file names."""
    return tuple(
        Step(Action.LOAD, "", None, module, "it is not loaded")
        for module in wanted.modules
        if module.replace("-", "_") not in facts.modules
    )


def plan_pf(wanted: Wanted, pf: Pf, facts: Facts) -> Plan:
    """Return what is to be done with one PF; nothing at all if the entry cannot be had."""
    if pf.address in facts.preparing:
        refusal = Refusal(pf.address, None, pf.address, "be prepared", (_PREPARED,))
        return Plan(refusals=(refusal,), pfs=(pf.address,))
    faults = tuple(f"{wanted.place}: {pf.title} {fault}" for fault in _faults(wanted, pf, facts))
    if faults:
        return Plan(faults=faults, pfs=(pf.address,))
    uses = facts.uses.get(pf.address, ())
    if uses and not pf.names:
        refusal = Refusal(pf.address, None, pf.address, "be prepared", uses)
        return Plan(refusals=(refusal,), pfs=(pf.address,))
    if pf.driver is None:
        return Plan(steps=tuple(_binding(pf)), pfs=(pf.address,))
    count = len(pf.vfs) if wanted.vfs is None else wanted.vfs
    renewing = _why_new_vfs(wanted, pf, count)
    if renewing:
        refusals = tuple(_refusals_of_new_vfs(pf, facts, renewing, count))
    else:
        refusals = tuple(drivers.refusals(wanted, pf, facts))
    if renewing and not refusals:
        steps = (
            *drivers.modules(wanted, pf, facts, count),
            *_new_vfs(wanted, pf, count, renewing),
        )
    else:
        steps = (
            *drivers.modules(wanted, pf, facts, min(count, len(pf.vfs))),
            *drivers.changes(wanted, pf, facts, count),
        )
    return Plan(steps=(*steps, *_port(wanted, pf, count)), refusals=refusals, pfs=(pf.address,))


def unprepared(pf: Pf) -> Wanted:
    """Return what a PF is without preparation: no VFs, legacy mode."""
    legacy = Eswitch.LEGACY if pf.eswitch is not None else None
    return Wanted(Match(address=pf.address), "reset", vfs=0, eswitch=legacy)


def _faults(wanted: Wanted, pf: Pf, facts: Facts) -> Iterator[str]:
    """Yield why an entry cannot be had; each follows the PF's name."""
    count, mode = wanted.vfs, wanted.eswitch
    if count is not None and count > pf.total_vfs:
        yield f"can have {pf.total_vfs} VFs, and vfs is {count}"
    if pf.driver is not None and drivers.is_for_userspace(pf.driver):
        yield f"is bound to {pf.driver}, and VFs need its network driver"
    if mode is Eswitch.SWITCHDEV and pf.driver is not None and pf.eswitch is None:
        yield f"has no eswitch modes: its driver {pf.driver} knows none"
    if drivers.lack_iommu(wanted, pf, facts):
        yield (
            "shall have VFs for vfio, and there is no IOMMU: enable it in the firmware and add "
            'intel_iommu=on iommu=pt to the kernel command line (or "noIommu": true to the entry, '
            "if whoever has a VF may read and write all memory)"
        )
    if wanted.externally_managed:
        yield from _external_faults(wanted, pf)


def _external_faults(wanted: Wanted, pf: Pf) -> Iterator[str]:
    """Yield what somebody else should have done."""
    if wanted.vfs is not None and len(pf.vfs) < wanted.vfs:
        yield f"is externallyManaged and has {len(pf.vfs)} VFs, fewer than vfs, {wanted.vfs}"
    if wanted.mtu is not None and pf.mtu is not None and pf.mtu < wanted.mtu:
        yield f"is externallyManaged and has MTU {pf.mtu}, less than mtu, {wanted.mtu}"
    if wanted.eswitch is not None and wanted.eswitch is not (pf.eswitch or Eswitch.LEGACY):
        has = (pf.eswitch or Eswitch.LEGACY).value
        yield f"is externallyManaged and has eswitch mode {has}, not {wanted.eswitch.value}"


def _binding(pf: Pf) -> Iterator[Step]:
    """Yield how a PF without a driver gets one."""
    yield Step(Action.LOAD, pf.address, None, "", "it has no driver")
    yield Step(Action.BIND_PF, pf.address, None, "", "it has no driver")


def _why_new_vfs(wanted: Wanted, pf: Pf, count: int) -> str:
    """Return why all VFs must be made anew, empty if they need not."""
    if wanted.externally_managed:
        return ""
    mode = wanted.eswitch
    if mode is not None and mode is not (pf.eswitch or Eswitch.LEGACY):
        return f"its eswitch mode is {(pf.eswitch or Eswitch.LEGACY).value}, not {mode.value}"
    if len(pf.vfs) != count:
        return f"it has {len(pf.vfs)} VFs, not {count}"
    return ""


def _refusals_of_new_vfs(pf: Pf, facts: Facts, why: str, count: int) -> Iterator[Refusal]:
    """Yield who keeps a PF's VFs from going."""
    doing = f"go: {why}, and a card takes all its VFs back at once"
    for vf in pf.vfs:
        if uses := facts.uses.get(vf.address):
            yield Refusal(pf.address, vf.number, vf.address, doing, uses)
    if uses := facts.uses.get(pf.address):
        yield Refusal(pf.address, None, pf.address, f"have {count} VFs", uses)
    if "eswitch" in why and pf.host_use:
        yield Refusal(pf.address, None, pf.address, "change its eswitch mode", (pf.host_use,))


def _new_vfs(wanted: Wanted, pf: Pf, count: int, why: str) -> Iterator[Step]:
    """Yield how a PF gets its VFs, whichever it has: none of them is in use.

    VFs that are for another driver than the kernel's must not be probed by that first, so no VF is
    probed until each is reserved for its own.
    """
    mode = wanted.eswitch or pf.eswitch
    to_mode = mode is Eswitch.SWITCHDEV and count > 0
    reserved = [n for n in range(count) if wanted.driver_of(n) != KERNEL]
    late_mode = to_mode and pf.driver not in _MODE_BEFORE_VFS
    quiet = bool(reserved) or late_mode
    if quiet and pf.autoprobe:
        reason = "some VFs are not for their kernel driver" if reserved else "modes change unbound"
        yield Step(Action.AUTOPROBE, pf.address, None, "0", reason)
    if not quiet and not pf.autoprobe:
        yield Step(Action.AUTOPROBE, pf.address, None, "1", "VFs are for their kernel driver")
    if pf.vfs:
        cost = f"its {len(pf.vfs)} VFs go"
        yield Step(Action.COUNT, pf.address, None, "0", why, cost)
    before = Eswitch.LEGACY if late_mode else mode
    if before is not None and before is not (pf.eswitch or Eswitch.LEGACY):
        yield Step(Action.ESWITCH, pf.address, None, before.value, why, "its representors change")
    if count:
        yield Step(Action.COUNT, pf.address, None, str(count), why)
    if late_mode:
        reason = f"it is to be {Eswitch.SWITCHDEV.value}"
        cost = "its representors change"
        yield Step(Action.ESWITCH, pf.address, None, Eswitch.SWITCHDEV.value, reason, cost)
    if quiet:
        yield from drivers.of_new_vfs(wanted, pf, count)


def _port(wanted: Wanted, pf: Pf, count: int) -> Iterator[Step]:
    """Yield what is to be done with the PF's own network device."""
    if not wanted.externally_managed:
        if wanted.mtu is not None and pf.mtu not in (None, wanted.mtu):
            reason = f"it is {pf.mtu}"
            cost = "its port may pause" if pf.is_up else ""
            yield Step(Action.MTU, pf.address, None, str(wanted.mtu), reason, cost)
        if count and pf.is_up is False:
            yield Step(Action.UP, pf.address, None, "", "VFs have no carrier while it is down")

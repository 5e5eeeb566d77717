# SPDX-License-Identifier: Apache-2.0
"""Which steps give the VFs of one PF their drivers. Pure, a part of the plan.

A VF for another driver than the kernel's is reserved for it (driver_override), and stays so: the
kernel then binds it right whenever it probes it.
"""

from collections.abc import Iterator

from sriov_cni.device.host_use import USERSPACE_DRIVERS
from sriov_node.preparation.facts import Facts, Pf, Vf
from sriov_node.preparation.step import Action, Refusal, Step
from sriov_node.preparation.wanted import KERNEL, Wanted


def is_for_userspace(driver: str) -> bool:
    """Tell whether a driver hands devices to programs."""
    return driver in USERSPACE_DRIVERS


def _named(wanted: Wanted, count: int) -> tuple[str, ...]:
    """Return the drivers, other than the kernel's, of the first `count` VFs."""
    found = dict.fromkeys(wanted.driver_of(number) for number in range(count))
    return tuple(driver for driver in found if driver != KERNEL)


def lack_iommu(wanted: Wanted, pf: Pf, facts: Facts) -> bool:
    """Tell whether VFs are wanted for vfio, which the node cannot give them."""
    count = len(pf.vfs) if wanted.vfs is None else wanted.vfs
    vfio = any(driver.startswith("vfio") for driver in _named(wanted, count))
    return vfio and not facts.has_iommu and not wanted.no_iommu


def modules(wanted: Wanted, pf: Pf, facts: Facts, count: int) -> Iterator[Step]:
    """Yield how the drivers of the first `count` VFs become ready to have them."""
    for driver in _named(wanted, count):
        if driver not in facts.drivers:
            yield Step(Action.LOAD, pf.address, None, driver, "there is no such driver yet")
        if driver.startswith("vfio") and not facts.has_iommu and not facts.no_iommu:
            yield Step(
                Action.NO_IOMMU,
                pf.address,
                None,
                "1",
                "there is no IOMMU, and noIommu asks for it",
                "whoever has such a VF may read and write all memory",
            )


def of_new_vfs(wanted: Wanted, pf: Pf, count: int) -> Iterator[Step]:
    """Yield how VFs that were made without a driver get theirs."""
    for number in range(count):
        driver = wanted.driver_of(number)
        if driver != KERNEL:
            yield Step(Action.OVERRIDE, pf.address, number, driver, f"it is for {driver}")
    yield Step(Action.AUTOPROBE, pf.address, None, "1", "all VFs are reserved that are to be")
    for number in range(count):
        driver = wanted.driver_of(number)
        yield Step(Action.PROBE, pf.address, number, driver, "it is new")


def refusals(wanted: Wanted, pf: Pf, facts: Facts) -> Iterator[Refusal]:
    """Yield the VFs with a wrong driver that are in use."""
    for vf in pf.vfs:
        uses = facts.uses.get(vf.address)
        if uses and _is_wrong(wanted, vf):
            doing = f"go from {vf.driver or 'no driver'} to {_words(wanted.driver_of(vf.number))}"
            yield Refusal(pf.address, vf.number, vf.address, doing, uses)


def changes(wanted: Wanted, pf: Pf, facts: Facts, count: int) -> Iterator[Step]:
    """Yield how the free ones of the VFs that are there get their drivers.

    `count` is how many VFs there are to be: what has a higher index stays as it is.
    """
    ours = [vf for vf in pf.vfs if vf.number < count]
    free = [vf for vf in ours if vf.address not in facts.uses]
    wrong = [vf for vf in free if _is_wrong(wanted, vf)]
    for vf in ours:
        driver = wanted.driver_of(vf.number)
        keeps_driver = not _is_wrong(wanted, vf)
        is_reserved_right = vf.override == _reserved(driver) or (
            driver == KERNEL and keeps_driver and vf.override == vf.driver
        )
        if not is_reserved_right and (keeps_driver or vf in free):
            reason = f"it is reserved for {vf.override}" if vf.override else f"it is for {driver}"
            yield Step(Action.OVERRIDE, pf.address, vf.number, _reserved(driver), reason)
    probed = any(wanted.driver_of(vf.number) == KERNEL for vf in wrong)
    if not pf.autoprobe and (probed or not wanted.externally_managed):
        yield Step(Action.AUTOPROBE, pf.address, None, "1", "VFs would get no driver")
    for vf in wrong:
        driver = wanted.driver_of(vf.number)
        if vf.driver is not None:
            reason = f"it is for {_words(driver)}"
            cost = f"{vf.driver} loses it"
            yield Step(Action.UNBIND, pf.address, vf.number, "", reason, cost)
        reason = "it has no driver" if vf.driver is None else f"it had {vf.driver}"
        yield Step(Action.PROBE, pf.address, vf.number, driver, reason)


def _is_wrong(wanted: Wanted, vf: Vf) -> bool:
    """Tell whether a VF is bound to another driver than it is to have, or to none."""
    driver = wanted.driver_of(vf.number)
    if driver == KERNEL:
        return (
            vf.driver is None or is_for_userspace(vf.driver) or vf.override not in ("", vf.driver)
        )
    return vf.driver != driver


def _reserved(driver: str) -> str:
    """Return what a VF's driver_override is to be for a driver."""
    return "" if driver == KERNEL else driver


def _words(driver: str) -> str:
    return "its kernel driver" if driver == KERNEL else driver

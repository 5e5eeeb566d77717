# SPDX-License-Identifier: Apache-2.0
"""The attributes that a PF enforces for a VF: compared and changed.

restoration.py undoes what apply() does.
"""

from collections.abc import Callable, Iterator
from functools import partial

from sriov_cni.device import mac
from sriov_cni.device.errors import DriverError
from sriov_cni.device.pci import OnHost, PciFunction, VfSlot
from sriov_cni.kernel import links, sysfs, vfs
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.patience import patiently
from sriov_cni.kernel.vfs import VfAttributes


def attributes(host: Socket, slot: VfSlot) -> VfAttributes | None:
    """Return the attributes that the PF enforces for a VF, None where its driver has none.

    A VF that the PF does not list, because its driver is busy with it, is waited for; raises
    KernelError (EBUSY) after that.
    """
    return patiently(vfs.attributes, host, *slot)


def apply(
    host: Socket,
    there: OnHost,
    before: VfAttributes | None,
    wanted: VfAttributes,
    mtu: int | None,
) -> None:
    """Give a function the wanted attributes, MAC and MTU; `before` is what its PF enforces now.

    Its flags become those of a new device: an earlier pod whose DEL never came may have changed
    them. Undone by restoration.restore(). Raises DriverError where nobody can set an attribute, or
    a driver refuses it, or accepts it but does not set it.
    """
    function, slot, link = there
    _refuse_impossible(there, before, wanted, mtu)
    try:
        if link is not None and link.up:
            patiently(links.set_up, host, link, False)
        if link is not None and (flags := _fresh(link.settings.flags)) != link.settings.flags:
            links.set_setting(host, link, "flags", flags)
        if slot is not None and before is not None:
            for step in attribute_steps(host, slot, before, wanted):
                step()
        if wanted.mac is not None:
            mac.give(host, slot if before is not None else None, link, wanted.mac)
        elif link is not None and before is not None and before.mac == vfs.NO_MAC:
            mac.make_pf_learn_mac(host, link)
        if link is not None and mtu is not None and mtu != link.mtu:
            patiently(links.set_mtu, host, link, mtu)
    except KernelError as error:
        raise DriverError(f"{_drivers(function)} refused", str(error)) from None
    if slot is not None and before is not None and wanted != VfAttributes():
        _verify(host, slot, wanted)


def _fresh(flags: int) -> int:
    return flags & ~(links.NOARP | links.PROMISC | links.ALLMULTI) | links.MULTICAST


def _drivers(function: PciFunction) -> str:
    """Name the drivers that a refusal may come from: the function's and its PF's."""
    addresses = (function.address, sysfs.pf_address(function.address))
    names = (sysfs.driver(address) for address in addresses if address is not None)
    return "driver " + " or ".join(dict.fromkeys(name for name in names if name))


def _refuse_impossible(
    there: OnHost, before: VfAttributes | None, wanted: VfAttributes, mtu: int | None
) -> None:
    function, _, link = there
    if link is None and mtu is not None:
        raise DriverError(
            f"{function} has no MTU",
            "it has no network device, its driver serves user space: remove mtu",
        )
    possible = wanted if link is None else wanted._replace(mac=None)
    if before is None and possible != VfAttributes():
        raise DriverError(
            f"nobody administers {function}",
            f"the driver of {function.pf or 'its PF'} has no VF administration: remove "
            "vlan, spoofchk, trust, link_state and rates from the configuration",
        )


def _verify(host: Socket, slot: VfSlot, wanted: VfAttributes) -> None:
    now = attributes(host, slot)
    if now is not None and (differences := attribute_differences(now, wanted)):
        raise DriverError(
            f"the driver of {slot.pf} did not do what it accepted",
            f"VF {slot.vf}: {'; '.join(differences)}",
        )


def administrative_mac(host: Socket, slot: VfSlot | None) -> str:
    """Return the MAC that the PF has set for a VF, empty if none."""
    now = attributes(host, slot) if slot is not None else None
    mac_set = now.mac if now is not None else None
    return mac_set if mac_set and mac_set != vfs.NO_MAC else ""


def attribute_differences(now: VfAttributes, wanted: VfAttributes) -> list[str]:
    """Return a phrase for each wanted attribute that is another now; unknown ones are none."""
    return [
        f"{name} is {actual}, not {value}"
        for name, value, actual in zip(wanted._fields, wanted, now, strict=True)
        if value is not None and actual is not None and actual != value
    ]


def attribute_steps(
    host: Socket, slot: VfSlot, now: VfAttributes, wanted: VfAttributes
) -> Iterator[Callable[[], None]]:
    """Yield a step for each attribute, MAC excepted, that is to become another."""
    if wanted.vlan is not None and now.tag != wanted.tag:
        tag = (wanted.vlan, wanted.vlan_qos or 0, wanted.vlan_proto or "802.1q")
        yield partial(patiently, vfs.set_vlan, host, *slot, *tag)
    if wanted.spoofchk is not None and now.spoofchk != wanted.spoofchk:
        yield partial(patiently, vfs.set_spoofchk, host, *slot, wanted.spoofchk)
    if wanted.trust is not None and now.trust != wanted.trust:
        yield partial(patiently, vfs.set_trust, host, *slot, wanted.trust)
    if wanted.link_state is not None and now.link_state != wanted.link_state:
        yield partial(patiently, vfs.set_link_state, host, *slot, wanted.link_state)
    lowest = _first_known(wanted.min_tx_rate, now.min_tx_rate)
    highest = _first_known(wanted.max_tx_rate, now.max_tx_rate)
    if (lowest, highest) != (now.min_tx_rate or 0, now.max_tx_rate or 0):
        yield partial(patiently, vfs.set_rates, host, *slot, lowest, highest)


def _first_known(*rates: int | None) -> int:
    return next((rate for rate in rates if rate is not None), 0)

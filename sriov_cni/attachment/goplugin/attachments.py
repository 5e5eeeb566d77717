# SPDX-License-Identifier: Apache-2.0
"""Attachments that the Go plugin made: found, adopted, and restored after their pod died.

Of the IPAM configuration its cache files keep only the type: addresses are released with the
configuration of the call served, as the Go plugin does. Whatever the files hold, the worst outcome
is a warning, and the attachment counts as unknown.
"""

import time
from contextlib import suppress
from typing import NamedTuple

from sriov_cni.attachment.goplugin import end_claim, pod_of
from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni import log, names
from sriov_cni.cni.addresses import parse_mac
from sriov_cni.cni.call import Arguments, Call
from sriov_cni.cni.document import LARGEST_DOCUMENT, Fields, JsonObject, decode
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction, slot_of
from sriov_cni.device.snapshot import Device, Snapshot
from sriov_cni.kernel import links, netns, sysfs
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.vfs import HIGHEST_QOS, HIGHEST_VLAN, LINK_STATES, NO_MAC, VfAttributes

_LARGEST = 2 * LARGEST_DOCUMENT  # a configuration, and what the Go plugin adds
_LARGEST_NUMBER = (1 << 31) - 1
_ETHERTYPES_802_1AD = (0x88A8, 0xA888)  # the second on big-endian machines, a fault of its library
_OF_THE_CALL = ("prevResult", "cni.dev/valid-attachments")
_NO_BOOT = ""  # of a record that claims no VF: any other boot than this


class _Cached(NamedTuple):
    """The contents of a cache file: the network, the VF that was given away, its state before.

    `modified` is the time of the ADD, in seconds since the epoch.
    """

    name: str
    modified: float
    network: str
    function: PciFunction
    before: Snapshot


def function_of(records: AttachmentRecords, owner: Owner) -> PciFunction | None:
    """Return the VF that the Go plugin gave to an attachment, None if it knows of none."""
    cached = _read(records, _file_name(owner))
    return cached.function if cached is not None else None


def network_of(records: AttachmentRecords, owner: Owner) -> str:
    """Return the network that the Go plugin attached somebody to, "" if it knows of nobody."""
    cached = _read(records, _file_name(owner))
    return cached.network if cached is not None else ""


def adopt(records: AttachmentRecords, host: Socket, owner: Owner, call: Call) -> Record | None:
    """Make an attachment of the Go plugin ours: a durable record instead of its files.

    `call` is its DEL, or a GC. The caller holds the VF's lock. The record claims no VF that is no
    longer the attachment's, or whose boot is over; then only addresses are left to release.
    """
    cached = _read(records, _file_name(owner))
    if cached is None:
        return None
    pod = pod_of(records, cached.function.address)
    has_it = pod != "" and _is_claimed_by(records, cached, pod, call.netns)
    lives = pod == call.netns and netns.exists(pod)
    record = Record(
        owner=owner,
        netns=pod if has_it else call.netns,
        network=call.network,
        boot=records.boot if has_it and _is_untouched(records, cached, lives) else _NO_BOOT,
        function=cached.function,
        before=_with_parent(host, cached),
        arguments=call.arguments,
        config={key: value for key, value in call.config.items() if key not in _OF_THE_CALL},
    )
    records.write(record)
    with records.directory() as directory:
        directory.remove(cached.name)
    if has_it:
        end_claim(records, cached.function.address)
    return record


def lost(records: AttachmentRecords, host: Socket, address: str) -> Record | None:
    """Return the attachment that lost a VF when its pod died without a DEL, None if unknown.

    The record is not written anywhere and holds nothing for IPAM: the DEL or GC that may still come
    finds the cache file, and brings the configuration that IPAM needs.
    """
    cached = _last_claimant(records, address)
    owner = _owner(cached.name) if cached is not None else None
    if cached is None or owner is None or not _is_untouched(records, cached, lives=False):
        return None
    before, nothing = _with_parent(host, cached), Arguments("", {})
    function = cached.function
    return Record(owner, "", cached.network, records.boot, function, before, nothing, {})


def unknown_owners(
    records: AttachmentRecords, network: str, valid: frozenset[Owner]
) -> list[Owner]:
    """Return the owners of the Go plugin's attachments in a network that are not valid."""
    keep = {_file_name(owner) for owner in valid}
    names_of_network = [cached.name for cached in _all(records) if cached.network == network]
    unknown = [_owner(name) for name in names_of_network if name not in keep]
    return [owner for owner in unknown if owner is not None]


def _is_claimed_by(records: AttachmentRecords, cached: _Cached, pod: str, netns_given: str) -> bool:
    """Tell whether the claim on a VF, which names only the pod, is that of one attachment.

    A DEL without CNI_NETNS, and GC, do not name it. An attachment whose DEL never came leaves its
    cache file when the VF is given to the next one; so the last file to be written counts.
    """
    if pod == netns_given:
        return True
    if netns_given and netns.exists(pod):
        return False
    return _last_claimant(records, cached.function.address) == cached


def _is_untouched(records: AttachmentRecords, cached: _Cached, lives: bool) -> bool:
    """Tell whether a VF still is as the Go plugin left it: unclaimed, and no reboot since.

    `lives` says that its pod is known to live, which none does across a boot. Otherwise the cache
    file's age decides, for it has no boot ID. A clock set forward in between makes it seem older
    than the boot; that costs only the restoring.
    """
    function = cached.function
    pf_address = sysfs.pf_address(function.address)
    if pf_address is None or sysfs.vf_index(pf_address, function.address) != function.vf:
        return False  # other cards, or other VFs
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return not records.is_claimed(function.address) and (lives or cached.modified >= booted)


def _last_claimant(records: AttachmentRecords, address: str) -> _Cached | None:
    """Return the contents of the youngest cache file that names a VF, None if no file does."""
    claimants = [cached for cached in _all(records) if cached.function.address == address]
    return max(claimants, key=lambda cached: (cached.modified, cached.name), default=None)


def _with_parent(host: Socket, cached: _Cached) -> Snapshot:
    """Return the state before with the device's `parent`: it has one if its PF has."""
    device, slot = cached.before.device, slot_of(cached.function)
    pf = links.find(host, slot.pf) if slot is not None else None
    if device is None or pf is None or not links.pci_address(host, pf):
        return cached.before
    return cached.before._replace(device=device._replace(parent=cached.function.address))


def _file_name(owner: Owner) -> str:
    return f"{owner.container_id}-{owner.ifname}"


def _owner(name: str) -> Owner | None:
    """Return the owner of a cache file; Kubernetes' container IDs have no "-" in them."""
    places = (place for place, char in enumerate(name) if char == "-")
    for container_id, ifname in ((name[:place], name[place + 1 :]) for place in places):
        if not names.why_no_identifier(container_id) and not names.why_no_interface_name(ifname):
            return Owner(container_id, ifname)
    return None


def _all(records: AttachmentRecords) -> list[_Cached]:
    """Return what every cache file says; the names of records have commas."""
    with records.directory() as directory:
        candidates = [name for name in directory.names() if "-" in name and "," not in name]
    found = [_read(records, name) for name in candidates]
    return [cached for cached in found if cached is not None]


def _read(records: AttachmentRecords, name: str) -> _Cached | None:
    try:
        with records.directory() as directory, suppress(FileNotFoundError):
            data = directory.read(name, _LARGEST + 1)
            return _parse(name, directory.modified(name), data)
    except (CniError, ValueError) as error:
        log.write("warning", f"the Go plugin's file {name} is of no use: {error}")
    return None


def _parse(name: str, modified: float, data: bytes) -> _Cached:
    """Return the contents of a cache file; raise CniError or ValueError if they cannot be right."""
    fields = Fields(decode(data, "it", _LARGEST))
    state = fields.object("OrigVfState")
    vf = fields.integer("VFID", 0, _LARGEST_NUMBER)
    address, pf = fields.text("deviceID") or "", fields.text("Master") or ""
    if state is None or vf is None or not sysfs.is_pci_address(address):
        raise ValueError("OrigVfState, VFID or deviceID is missing")
    if reason := names.why_no_interface_name(pf):
        raise fields.error_for("Master", f"an interface's name ({reason})")
    return _Cached(
        name,
        modified,
        fields.text("name") or "",
        PciFunction(pf, vf, address),
        Snapshot(_device(state), _attributes(fields, state)),
    )


def _device(state: Fields) -> Device | None:
    """Return the VF's device; whether it was up is not kept, and the Go plugin leaves it down."""
    name = state.text("HostIFName")
    if not name:
        return None  # its driver serves user space
    if reason := names.why_no_interface_name(name):
        raise state.error_for("HostIFName", f"an interface's name ({reason})")
    mac = parse_mac(state.text("EffectiveMAC") or "")
    mtu = state.integer("MTU", 0, _LARGEST_NUMBER)
    return Device(name, (), mac, mtu or 0, up=False, parent="")


def _attributes(fields: Fields, state: Fields) -> VfAttributes:
    """Return the attributes that the PF enforced before: the MAC, and those that the ADD changed.

    For the others the file does not tell a value from one that the driver did not know.
    """

    def changed(*keys: str) -> bool:
        return any(fields.values.get(key) not in (None, "") for key in keys)

    mac = (state.text("AdminMAC") or NO_MAC).lower()
    before: JsonObject = {"mac": mac if mac == NO_MAC else parse_mac(mac)}
    if changed("vlan"):
        double = state.values.get("VlanProto") in _ETHERTYPES_802_1AD
        before["vlan"] = state.integer("Vlan", 0, HIGHEST_VLAN) or 0
        before["vlan_qos"] = state.integer("VlanQoS", 0, HIGHEST_QOS) or 0
        before["vlan_proto"] = "802.1ad" if double else "802.1q"
    if changed("spoofchk"):
        before["spoofchk"] = state.boolean("SpoofChk")
    if changed("trust"):
        before["trust"] = state.boolean("Trust")
    if changed("link_state"):
        # it keeps the kernel's number
        number = state.integer("LinkState", 0, len(LINK_STATES) - 1)
        before["link_state"] = LINK_STATES[number or 0]
    if changed("min_tx_rate", "max_tx_rate"):
        before["min_tx_rate"] = state.integer("MinTxRate", 0, _LARGEST_NUMBER)
        before["max_tx_rate"] = state.integer("MaxTxRate", 0, _LARGEST_NUMBER)
    return VfAttributes(**before)

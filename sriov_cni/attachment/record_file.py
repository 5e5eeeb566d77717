# SPDX-License-Identifier: Apache-2.0
"""Reading the file of a record. Values that no ADD can have written are refused.

A record's values become parts of paths, netlink messages and another plugin's environment, long
after the ADD that validated them. Keys that this release does not know are passed over: a newer one
wrote them. All functions raise CniError or ValueError.
"""

from sriov_cni.attachment.record import DEEPEST, FORMAT, LARGEST, Record
from sriov_cni.cni import document
from sriov_cni.cni.call import Arguments
from sriov_cni.cni.document import Fields
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.names import why_no_identifier, why_no_interface_name
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device, Snapshot
from sriov_cni.kernel.links import Settings
from sriov_cni.kernel.sysfs import is_pci_address
from sriov_cni.kernel.vfs import LINK_STATES, VLAN_PROTOCOLS, VfAttributes

_MAX_U32 = (1 << 32) - 1
_LONGEST_NAME = 127  # ALTIFNAMSIZ - 1, include/uapi/linux/if.h
_MAC_LENGTH = 6


def read_record(content: bytes) -> Record:
    """Return the record that a file holds."""
    fields = _fields(content)
    if fields.values.get("format") != FORMAT:
        shown = document.shown(fields.values.get("format"))
        raise ValueError(f"its format is {shown}, this release knows {FORMAT}")
    attachment, before = _part(fields, "attachment"), _part(fields, "before")
    old_device, old_attributes = before.object("device"), before.object("attributes")
    granted = before.boolean("granted")
    return Record(
        owner=_owner(attachment),
        netns=_text(attachment, "netns"),
        network=_identifier(fields, "network"),
        boot=_text(fields, "boot"),
        function=_function(_part(fields, "function")),
        before=Snapshot(
            old_device and _device(old_device), old_attributes and _attributes(old_attributes)
        ),
        arguments=Arguments.parse(_text(fields, "arguments")),
        config={**_part(fields, "config").values},
        granted=granted is not False,  # the first release did not keep it
    )


def read_outline(content: bytes) -> tuple[str | None, bool]:
    """Return a record's network, None if it has none, and whether a newer release made it."""
    try:
        values = _fields(content).values
    except CniError:
        return None, False
    network, form = values.get("network"), values.get("format")
    newer = isinstance(form, int) and not isinstance(form, bool) and form > FORMAT
    return network if isinstance(network, str) else None, newer


def _fields(content: bytes) -> Fields:
    return Fields(document.decode(content, "it", LARGEST, DEEPEST))


def _part(fields: Fields, key: str) -> Fields:
    """Return an object that must be there."""
    found = fields.object(key)
    if found is None:
        raise fields.error_for(key, "an object")
    return found


def _text(fields: Fields, key: str) -> str:
    """Return a string that must be there, without NUL: the kernel's strings end at one."""
    value = fields.text(key)
    if value is None or "\0" in value:
        raise fields.error_for(key, "a string without NUL")
    return value


def _identifier(fields: Fields, key: str) -> str:
    """Return a container's ID or a network's name."""
    value = _text(fields, key)
    if reason := why_no_identifier(value):
        raise fields.error_for(key, f"a name ({reason})")
    return value


def _owner(fields: Fields) -> Owner:
    container_id, ifname = _identifier(fields, "container_id"), _text(fields, "ifname")
    if reason := why_no_interface_name(ifname):
        raise fields.error_for("ifname", f"an interface's name ({reason})")
    return Owner(container_id, ifname)


def _function(fields: Fields) -> PciFunction:
    address = _text(fields, "address")
    if not is_pci_address(address):
        raise fields.error_for("address", "a PCI address")
    return PciFunction(_text(fields, "pf"), fields.integer("vf", 0, 65535), address)


def _device(fields: Fields) -> Device:
    name, alternative_names = _text(fields, "name"), fields.texts("alternative_names")
    mtu, up = fields.integer("mtu", 0, _MAX_U32), fields.boolean("up")
    if mtu is None or up is None:
        raise ValueError("mtu or up is missing")
    # names are the kernel's, which allows more in them than runtimes do
    if not all(n and "\0" not in n and len(n) <= _LONGEST_NAME for n in (name, *alternative_names)):
        raise ValueError("a name that no device has")
    kept = fields.object("settings")
    return Device(
        name=name,
        alternative_names=alternative_names,
        mac=_mac(fields, "mac"),
        mtu=mtu,
        up=up,
        parent=_text(fields, "parent"),
        settings=kept and _settings(kept),
    )


def _settings(fields: Fields) -> Settings:
    """Return a device's settings; null stands for a setting that the kernel did not know."""
    numbers = {
        name: fields.integer(name, 0, _MAX_U32)
        for name in Settings._fields
        if name not in ("broadcast", "alias")
    }
    flags, alias = numbers.pop("flags"), fields.text("alias")
    if flags is None:
        raise fields.error_for("flags", "a number")
    if alias is not None and not all("\0" < char <= "\xff" for char in alias):
        raise fields.error_for("alias", "a character for each byte")
    broadcast = None if fields.values.get("broadcast") is None else _mac(fields, "broadcast")
    return Settings(flags, broadcast, alias=alias, **numbers)


def _attributes(fields: Fields) -> VfAttributes:
    """Return a VF's attributes; null stands for one that the PF's driver did not know."""
    return VfAttributes(
        mac=None if fields.values.get("mac") is None else _mac(fields, "mac"),
        vlan=fields.integer("vlan", 0, _MAX_U32),
        vlan_qos=fields.integer("vlan_qos", 0, _MAX_U32),
        vlan_proto=fields.choice("vlan_proto", VLAN_PROTOCOLS),
        spoofchk=fields.boolean("spoofchk"),
        trust=fields.boolean("trust"),
        link_state=fields.choice("link_state", LINK_STATES),
        min_tx_rate=fields.integer("min_tx_rate", 0, _MAX_U32),
        max_tx_rate=fields.integer("max_tx_rate", 0, _MAX_U32),
    )


def _mac(fields: Fields, key: str) -> str:
    mac = _text(fields, key)
    octets = [bytes.fromhex(octet) for octet in mac.split(":")]
    if len(octets) != _MAC_LENGTH or any(len(octet) != 1 for octet in octets):
        raise fields.error_for(key, "a MAC address")
    return mac

# SPDX-License-Identifier: Apache-2.0
"""Reading the values of a record that may be anybody's: what no ADD can have written is refused.

What a record says becomes parts of paths, netlink messages and another plugin's environment, long
after the ADD that validated it. Keys that this release does not know are passed over: a newer one
wrote them. Functions raise CniError or ValueError.
"""

from sriov_cni.cni import document
from sriov_cni.cni.call import Attachment
from sriov_cni.cni.document import Fields
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.names import identifier_fault, interface_name_fault, is_pci_address
from sriov_cni.domain.function import Function
from sriov_cni.domain.record import FORMAT, Device, Record, Snapshot
from sriov_cni.domain.registry import DEEPEST, LARGEST
from sriov_cni.kernel.links import Settings
from sriov_cni.kernel.vfs import VfAttributes

_MAX_U32 = (1 << 32) - 1
_LONGEST_NAME = 127  # ALTIFNAMSIZ - 1, include/uapi/linux/if.h
_MAC_LENGTH = 6


def record(content: bytes) -> Record:
    """Return the record that a file holds."""
    fields = _fields(content)
    if fields.values.get("format") != FORMAT:
        shown = document.shown(fields.values.get("format"))
        raise ValueError(f"its format is {shown}, this release knows {FORMAT}")
    before = part(fields, "before")
    old_device, old_attributes = before.object("device"), before.object("attributes")
    granted = before.boolean("granted")
    return Record(
        attachment=attachment(part(fields, "attachment")),
        network=identifier(fields, "network"),
        boot=text(fields, "boot"),
        function=function(part(fields, "function")),
        before=Snapshot(
            old_device and device(old_device), old_attributes and attributes(old_attributes)
        ),
        arguments=text(fields, "arguments"),
        config={**part(fields, "config").values},
        granted=granted is not False,  # the first release did not keep it
    )


def outline(content: bytes) -> tuple[str | None, bool]:
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


def part(fields: Fields, key: str) -> Fields:
    """Return an object that must be there."""
    found = fields.object(key)
    if found is None:
        raise fields.fault(key, "an object")
    return found


def text(fields: Fields, key: str) -> str:
    """Return a string that must be there, without NUL: the kernel's strings end at one."""
    value = fields.text(key)
    if value is None or "\0" in value:
        raise fields.fault(key, "a string without NUL")
    return value


def identifier(fields: Fields, key: str) -> str:
    """Return a container ID or a network's name."""
    value = text(fields, key)
    if fault := identifier_fault(value):
        raise fields.fault(key, f"a name ({fault})")
    return value


def attachment(fields: Fields) -> Attachment:
    """Return an attachment."""
    container_id = identifier(fields, "container_id")
    ifname = text(fields, "ifname")
    if fault := interface_name_fault(ifname):
        raise fields.fault("ifname", f"an interface's name ({fault})")
    return Attachment(container_id, ifname, text(fields, "netns"))


def function(fields: Fields) -> Function:
    """Return a function."""
    address = text(fields, "address")
    if not is_pci_address(address):
        raise fields.fault("address", "a PCI address")
    return Function(text(fields, "pf"), fields.integer("vf", 0, 65535), address)


def device(fields: Fields) -> Device:
    """Return what a network device was like."""
    name, alternative_names = text(fields, "name"), fields.texts("alternative_names")
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
        parent=text(fields, "parent"),
        settings=kept and settings(kept),
    )


def settings(fields: Fields) -> Settings:
    """Return a device's settings; null is what the kernel did not know."""
    numbers = {
        name: fields.integer(name, 0, _MAX_U32)
        for name in Settings._fields
        if name not in ("broadcast", "alias")
    }
    flags, alias = numbers.pop("flags"), fields.text("alias")
    if flags is None:
        raise fields.fault("flags", "a number")
    if alias is not None and not all("\0" < char <= "\xff" for char in alias):
        raise fields.fault("alias", "a character for each byte")
    broadcast = None if fields.values.get("broadcast") is None else _mac(fields, "broadcast")
    return Settings(flags, broadcast, alias=alias, **numbers)


def attributes(fields: Fields) -> VfAttributes:
    """Return what the PF enforced; null is what its driver did not know."""
    return VfAttributes(
        mac=None if fields.values.get("mac") is None else _mac(fields, "mac"),
        vlan=fields.integer("vlan", 0, _MAX_U32),
        vlan_qos=fields.integer("vlan_qos", 0, _MAX_U32),
        vlan_proto=fields.choice("vlan_proto", ("802.1q", "802.1ad")),
        spoofchk=fields.boolean("spoofchk"),
        trust=fields.boolean("trust"),
        link_state=fields.choice("link_state", ("auto", "enable", "disable")),
        min_tx_rate=fields.integer("min_tx_rate", 0, _MAX_U32),
        max_tx_rate=fields.integer("max_tx_rate", 0, _MAX_U32),
    )


def _mac(fields: Fields, key: str) -> str:
    mac = text(fields, key)
    octets = [bytes.fromhex(octet) for octet in mac.split(":")]
    if len(octets) != _MAC_LENGTH or any(len(octet) != 1 for octet in octets):
        raise fields.fault(key, "a MAC address")
    return mac

# SPDX-License-Identifier: Apache-2.0
"""Reading the values of a record that may be anybody's: what no ADD can have written is refused.

What a record says becomes parts of paths, netlink messages and another plugin's environment, long
after the ADD that validated it. All functions raise CniError or ValueError.
"""

from typing import Any

from sriov_cni.cni.call import Attachment
from sriov_cni.cni.document import Fields
from sriov_cni.cni.names import identifier_fault, interface_name_fault, is_pci_address
from sriov_cni.domain.function import Function
from sriov_cni.kernel.vfs import VfAttributes

_MAX_U32 = (1 << 32) - 1
_LONGEST_NAME = 127  # ALTIFNAMSIZ - 1, include/uapi/linux/if.h
_MAC_LENGTH = 6


def refuse_others(fields: Fields, keys: tuple[str, ...]) -> None:
    """Refuse keys that this plugin does not write: they mean something to whoever does."""
    if unknown := fields.values.keys() - set(keys):
        raise ValueError(f"unknown key {min(unknown)!r:.40}")


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
    refuse_others(fields, Attachment._fields)
    container_id = identifier(fields, "container_id")
    ifname = text(fields, "ifname")
    if fault := interface_name_fault(ifname):
        raise fields.fault("ifname", f"an interface's name ({fault})")
    return Attachment(container_id, ifname, text(fields, "netns"))


def function(fields: Fields) -> Function:
    """Return a function."""
    refuse_others(fields, Function._fields)
    address = text(fields, "address")
    if not is_pci_address(address):
        raise fields.fault("address", "a PCI address")
    return Function(text(fields, "pf"), fields.integer("vf", 0, 65535), address)


def device(fields: Fields) -> dict[str, Any]:
    """Return what a network device was like."""
    name, alternative_names = text(fields, "name"), fields.texts("alternative_names")
    mtu, up = fields.integer("mtu", 0, _MAX_U32), fields.boolean("up")
    if mtu is None or up is None:
        raise ValueError("mtu or up is missing")
    # names are the kernel's, which allows more in them than runtimes do
    if not all(n and "\0" not in n and len(n) <= _LONGEST_NAME for n in (name, *alternative_names)):
        raise ValueError("a name that no device has")
    return {
        "name": name,
        "alternative_names": alternative_names,
        "mac": _mac(fields),
        "mtu": mtu,
        "up": up,
        "parent": text(fields, "parent"),
    }


def attributes(fields: Fields) -> VfAttributes:
    """Return what the PF enforced; null is what its driver did not know."""
    refuse_others(fields, VfAttributes._fields)
    return VfAttributes(
        mac=None if fields.values.get("mac") is None else _mac(fields),
        vlan=fields.integer("vlan", 0, _MAX_U32),
        vlan_qos=fields.integer("vlan_qos", 0, _MAX_U32),
        vlan_proto=fields.choice("vlan_proto", ("802.1q", "802.1ad")),
        spoofchk=fields.boolean("spoofchk"),
        trust=fields.boolean("trust"),
        link_state=fields.choice("link_state", ("auto", "enable", "disable")),
        min_tx_rate=fields.integer("min_tx_rate", 0, _MAX_U32),
        max_tx_rate=fields.integer("max_tx_rate", 0, _MAX_U32),
    )


def _mac(fields: Fields) -> str:
    mac = text(fields, "mac")
    octets = [bytes.fromhex(octet) for octet in mac.split(":")]
    if len(octets) != _MAC_LENGTH or any(len(octet) != 1 for octet in octets):
        raise fields.fault("mac", "a MAC address")
    return mac

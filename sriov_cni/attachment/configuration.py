# SPDX-License-Identifier: Apache-2.0
"""What one attachment asks for: configuration file and runtime requests, merged and validated.

docs/configuration.md is the reference of every key. Nothing here looks at the node.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from sriov_cni.cni import document, errors, log
from sriov_cni.cni.addresses import parse_mac
from sriov_cni.cni.call import Call
from sriov_cni.cni.document import Fields, shown
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.names import why_no_interface_name
from sriov_cni.cni.result import Dns, parse_dns
from sriov_cni.kernel.errors import listen_to_changes
from sriov_cni.kernel.sysfs import is_pci_address
from sriov_cni.kernel.vfs import (
    HIGHEST_QOS,
    HIGHEST_RATE,
    HIGHEST_VLAN,
    LINK_STATES,
    VLAN_PROTOCOLS,
    VfAttributes,
)

DEFAULT_STATE_DIRECTORY = "/var/lib/cni/sriov"
_HIGHEST_VF = 65534  # sriov_numvfs is a 16-bit count
_KNOWN_ARGUMENTS = ("VF", "MAC", "VLAN", "IP")
_REQUESTS = ("vlan", "vf", "deviceID")  # what args.cni may ask for where the network says so
_Value = TypeVar("_Value")
_Places = tuple[Fields, ...]  # runtimeConfig, args.cni, CNI_ARGS, the configuration

KEYS = (
    "cniVersion",
    "name",
    "type",
    "master",
    "deviceID",
    "pciBusID",
    "vf",
    "pfOnly",
    "mac",
    "vlan",
    "vlanQoS",
    "vlanProto",
    "spoofchk",
    "trust",
    "link_state",
    "min_tx_rate",
    "max_tx_rate",
    "mtu",
    "ipam",
    "dns",
    "requests",
    "dataDir",
    "logLevel",
    "logFile",
    "logFormat",
    "capabilities",
    "runtimeConfig",
    "args",
    "prevResult",
)


class Configuration(NamedTuple):
    """An attachment's wishes. `vf` None: the first free one; an attribute None: left alone.

    `master` is empty only where `device_id`, a VF's PCI address, is given, or comes with the ADD.
    """

    master: str
    device_id: str | None
    vf: int | None
    pf_only: bool
    attributes: VfAttributes
    mtu: int | None
    dns: Dns
    state_directory: str


def respelt(call: Call) -> Call:
    """Return the call with `vlanQos` and the like under the keys they differ from in case only.

    Every command begins with this: all of them must mean the same by one file.
    """
    config, taken = document.respelt(call.config, KEYS)
    call = call._replace(config=config)
    if taken:
        configure_log(call.fields)
    for key, right in taken.items():
        log.write("warning", f"key {key} is taken for {right}: correct its spelling")
    return call


def parse(call: Call) -> Configuration:
    """Return the configuration of an ADD, CHECK or STATUS.

    Raises CniError: 7 for the configuration, 4 for CNI_ARGS, naming key, value and a right value.
    """
    fields = call.fields
    _configure_log(fields)
    places = _places(call)
    device_id = _agreed(places, "deviceID", _device_id)
    call.refuse_unknown_arguments(_KNOWN_ARGUMENTS)
    wanted = Configuration(
        master=_master(fields, required=device_id is None and not _comes_later(call)),
        device_id=device_id,
        vf=_agreed(places, "vf", lambda place: place.integer("vf", 0, _HIGHEST_VF)),
        pf_only=fields.boolean("pfOnly") or False,
        attributes=_attributes(places),
        mtu=fields.integer("mtu", 68, 65535),
        dns=parse_dns(fields),
        state_directory=state_directory(fields),
    )
    attributes_of_a_vf = (wanted.device_id, wanted.vf, *wanted.attributes)
    if wanted.pf_only and any(value is not None for value in attributes_of_a_vf):
        raise fields.error_for(
            "pfOnly", "false where deviceID, vf or an attribute of a VF is given"
        )
    return wanted


def state_directory(fields: Fields) -> str:
    """Return the directory of the attachment records: all that DEL and GC must know in advance."""
    return fields.path("dataDir") or DEFAULT_STATE_DIRECTORY


def configure_log(fields: Fields) -> None:
    """Have the log as DEL and GC find it configured, where a wrong setting is worth a warning."""
    try:
        _configure_log(fields)
    except CniError as error:
        log.write("warning", str(error))


def _configure_log(fields: Fields) -> None:
    log.configure_as(fields)
    if log.has("debug"):
        listen_to_changes(partial(log.write, "debug"))


def _places(call: Call) -> _Places:
    """Return the places of requests, each with the keys that are heard; warn of the others."""
    listed = list(call.fields.texts("requests"))
    for item in listed:
        if item not in (*_REQUESTS, "mac", "ips"):  # the latter two are heard in any case
            right = f"a list out of {', '.join(_REQUESTS)}, which {shown(item)} is not"
            raise call.fields.error_for("requests", right)
    if "deviceID" in listed:
        listed.append("pciBusID")
    heard, all_of_it = call.requests(listed), call.requests((*_REQUESTS, "pciBusID"))
    for key, value in all_of_it[1].values.items():
        if key not in heard[1].values:
            asked = f"args.cni.{key} {shown(value)} is not heard"
            log.write("warning", f"{asked}: the network does not list it under requests")
    return (*heard, call.fields)


def _agreed(places: _Places, key: str, read: Callable[[Fields], _Value | None]) -> _Value | None:
    """Return the value in force for `key`, which `read` returns of a place.

    runtimeConfig outranks the configuration; args.cni and, after it, CNI_ARGS only fill in what
    that leaves open. Raises CniError (7) if they ask for another value than the configuration has,
    or for another `deviceID` than runtimeConfig has, where the device plugin's choice may be.
    """
    # all are read: an invalid value is refused even where another one is in force
    runtime, pod, arguments, own = (read(place) for place in places)
    settled = own if runtime is None else runtime
    if settled is None:
        return arguments if pod is None else pod
    if runtime is None or key == "deviceID":
        source = "the network's" if runtime is None else "runtimeConfig's"
        for place, asked in zip(places[1:3], (pod, arguments), strict=True):
            if asked is not None and asked != settled:
                raise CniError(
                    errors.INVALID_CONFIGURATION,
                    f"invalid {place.where}{key}",
                    f"{place.where}{key} is {shown(asked)}, but {source} {key} is "
                    f"{shown(settled)}: ask only for what the network leaves open",
                )
    return settled


def _device_id(place: Fields) -> str | None:
    for key in ("deviceID", "pciBusID"):
        address = place.text(key)
        if address:
            if not is_pci_address(address):
                raise place.error_for(key, "the PCI address of a VF like 0000:01:10.0")
            return address.lower()
    return None


def _master(fields: Fields, *, required: bool) -> str:
    master = fields.text("master") or ""
    if not master and not required:
        return ""
    if reason := why_no_interface_name(master):
        raise fields.error_for("master", f"the name of a PF ({reason})")
    return master


def _comes_later(call: Call) -> bool:
    """Tell whether the VF may be named with each ADD only, as Multus does: STATUS has none."""
    return call.command == "STATUS" and not call.fields.boolean("pfOnly")


def _attributes(places: _Places) -> VfAttributes:
    fields = places[-1]
    vlan = _agreed(places, "vlan", lambda place: place.integer("vlan", 0, HIGHEST_VLAN))
    qos = fields.integer("vlanQoS", 0, HIGHEST_QOS)
    proto = (fields.text("vlanProto") or "").lower() or None
    if proto is not None and proto not in VLAN_PROTOCOLS:
        raise fields.error_for("vlanProto", " or ".join(f'"{known}"' for known in VLAN_PROTOCOLS))
    if not vlan and qos:
        raise fields.error_for(
            "vlanQoS", f"0 or absent where no vlan from 1 to {HIGHEST_VLAN} is asked for"
        )
    if not vlan and proto == "802.1ad":
        raise fields.error_for(
            "vlanProto", f"802.1q or absent where no vlan from 1 to {HIGHEST_VLAN} is asked for"
        )
    lowest = fields.integer("min_tx_rate", 0, HIGHEST_RATE)
    highest = fields.integer("max_tx_rate", 0, HIGHEST_RATE)
    if lowest and highest and lowest > highest:
        raise fields.error_for("min_tx_rate", f"at most max_tx_rate, which is {highest}")
    return VfAttributes(
        mac=_agreed(places, "mac", _mac),
        vlan=vlan,
        vlan_qos=None if vlan is None else qos or 0,
        vlan_proto=None if vlan is None else proto or "802.1q",
        spoofchk=_switch(fields, "spoofchk"),
        trust=_switch(fields, "trust"),
        link_state=fields.choice("link_state", LINK_STATES),
        min_tx_rate=lowest,
        max_tx_rate=highest,
    )


def _mac(place: Fields) -> str | None:
    text = place.text("mac")
    if not text:
        return None
    try:
        return parse_mac(text)
    except ValueError:
        raise place.error_for("mac", "a unicast MAC address like 66:d8:02:77:aa:aa") from None


def _switch(fields: Fields, key: str) -> bool | None:
    """Return an "on" or "off"; the established Go plugin takes these two strings."""
    value = fields.choice(key, ("on", "off"))
    return None if value is None else value == "on"

# SPDX-License-Identifier: Apache-2.0
"""The attachment's IPAM: none, fixipam in this process, or any other plugin executed."""

from collections.abc import Callable

from ipam import commands as fixipam
from sriov_cni.cni import delegation, errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Result

_BUILT_IN = "fixipam"


def validate(call: Call) -> None:
    """Raise CniError for what cannot work whatever the state of IPAM is, before any change."""
    plugin = _plugin(call)
    if plugin == _BUILT_IN:
        fixipam.validate(call)
    elif plugin is not None:
        delegation.find(plugin, call.path)


def is_executed(call: Call) -> bool:
    """Tell whether another program is the attachment's IPAM: what it has granted only it knows."""
    return _plugin(call) not in (None, _BUILT_IN)


def add(call: Call) -> Result:
    """Return the addresses and routes for the attachment; empty without IPAM."""
    result = _delegate(call, fixipam.add)
    if result is not None and not result.ips:
        raise CniError(
            errors.ADDRESS_REFUSED,
            "IPAM gave no address",
            f"the IPAM plugin {_plugin(call)} succeeded without one",
        )
    return result or Result()


def delete(call: Call) -> None:
    """Release what `add` was given; releasing nothing is no error."""
    _delegate(call, fixipam.delete)


def check(call: Call) -> None:
    """Raise CniError if IPAM no longer knows the attachment's addresses."""
    _delegate(call, fixipam.check)


def collect(call: Call) -> None:
    """Release what attachments unknown to the runtime still have (GC)."""
    _delegate(call, fixipam.collect)


def status(call: Call) -> None:
    """Raise CniError (50) if IPAM says that it cannot serve ADDs."""
    _delegate(call, fixipam.status)


def _delegate(call: Call, built_in: Callable[[Call], Result | None]) -> Result | None:
    plugin = _plugin(call)
    if plugin is None:
        return None
    return built_in(call) if plugin == _BUILT_IN else delegation.execute(plugin, call)


def _plugin(call: Call) -> str | None:
    """Return the type of the IPAM plugin, None if there is none."""
    ipam = call.fields.object("ipam")
    if ipam is None or not ipam.values or ipam.values == {"type": ""}:
        return None
    plugin = ipam.text("type")
    if not plugin:
        raise ipam.fault("type", "the name of an IPAM plugin, fixipam for example")
    return plugin

# SPDX-License-Identifier: Apache-2.0
"""The attachment's IPAM: none, fixipam in this process, or any other plugin executed."""

from collections.abc import Callable
from typing import NamedTuple

from ipam import commands as fixipam
from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Result

_BUILT_IN = "fixipam"


class Ipam(NamedTuple):
    """An attachment's IPAM: a plugin's type, None for none, and fixipam's plan for the ADD."""

    plugin: str | None
    plan: fixipam.Plan | None

    @property
    def is_executed(self) -> bool:
        """Whether another program is the IPAM; only that program knows what it has granted."""
        return self.plugin not in (None, _BUILT_IN)


def plan(call: Call) -> Ipam:
    """Return the IPAM of an ADD.

    Raises CniError for what cannot work whatever the state of IPAM is, before any change.
    """
    plugin = _plugin(call)
    if plugin == _BUILT_IN:
        return Ipam(plugin, fixipam.plan(call))
    if plugin is not None:
        from sriov_cni.cni import delegation  # most attachments need no other program

        delegation.find(plugin, call.path)
    return Ipam(plugin, None)


def add(call: Call, ipam: Ipam) -> Result:
    """Return the addresses and routes for the attachment; empty without IPAM."""
    if ipam.plan is not None:
        return fixipam.grant(call, ipam.plan)
    if ipam.plugin is None:
        return Result()
    from sriov_cni.cni import delegation

    result = delegation.execute(ipam.plugin, call)
    if result is None or not result.ips:
        raise CniError(
            errors.ADDRESS_REFUSED,
            "IPAM gave no address",
            f"the IPAM plugin {ipam.plugin} succeeded without one",
        )
    return result


def delete(call: Call) -> None:
    """Release the addresses that `add` was given; having none is no error."""
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


def _delegate(call: Call, built_in: Callable[[Call], None]) -> None:
    plugin = _plugin(call)
    if plugin == _BUILT_IN:
        built_in(call)
    elif plugin is not None:
        from sriov_cni.cni import delegation

        delegation.execute(plugin, call)


def _plugin(call: Call) -> str | None:
    """Return the type of the IPAM plugin, None if there is none."""
    ipam = call.fields.object("ipam")
    if ipam is None or not ipam.values or ipam.values == {"type": ""}:
        return None
    plugin = ipam.text("type")
    if not plugin:
        raise ipam.error_for("type", "the name of an IPAM plugin, fixipam for example")
    return plugin

# SPDX-License-Identifier: Apache-2.0
"""The attachment's IPAM: none, fixipam in this process, or any other plugin executed."""

from collections.abc import Callable

from ipam import commands as fixipam
from sriov_cni.cni.call import Call
from sriov_cni.cni.result import Result


def validate(call: Call) -> None:
    """Raise CniError for what the built-in IPAM would refuse in any case, before any change."""
    _delegate(call, fixipam.validate)


def add(call: Call) -> Result:
    """Return the addresses and routes for the attachment; empty without IPAM."""
    return _delegate(call, fixipam.add) or Result()


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
    """Raise CniError (50) if IPAM could not serve an ADD now."""
    _delegate(call, fixipam.status)


def _delegate(call: Call, builtin: Callable[[Call], Result | None]) -> Result | None:
    ipam = call.fields.object("ipam")
    if ipam is None or not ipam.values:
        return None
    if ipam.text("type") == "fixipam":
        return builtin(call)
    raise ipam.fault("type", "fixipam")

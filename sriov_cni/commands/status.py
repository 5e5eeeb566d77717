# SPDX-License-Identifier: Apache-2.0
"""STATUS: can this node serve ADDs at all (specification, section 2, "STATUS").

Runtimes ask every few seconds, and a node whose network says no is NotReady: so "no" is for what
no ADD can get over before an operator comes, never for VFs, PFs or addresses that are used up.
Nothing is locked, and no record is read.
"""

from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import addressing, configuration
from sriov_cni.domain.configuration import Configuration
from sriov_cni.domain.function import requested
from sriov_cni.domain.registry import Registry
from sriov_cni.kernel import sysfs


def status(call: Call) -> None:
    """Look at what every ADD needs; raise CniError (50) with what is missing."""
    wanted = configuration.parse(call)
    try:
        registry = Registry(wanted.state_directory, create=True)
        with registry.directory() as directory:
            directory.require_writable()
        if _can_be_looked_at(wanted, registry):
            requested(wanted)
    except CniError as error:
        raise CniError(errors.NOT_AVAILABLE, error.msg, error.details) from None
    addressing.status(call)


def _can_be_looked_at(wanted: Configuration, registry: Registry) -> bool:
    """Tell whether the node must have what a network names; it may name neither PF nor VF."""
    if not wanted.master:
        return wanted.device_id is not None
    return sysfs.exists(wanted.master) or not _pods_have_a_pf(registry)


def _pods_have_a_pf(registry: Registry) -> bool:
    """Tell whether an attachment has a PF, which is then not on the host (pfOnly)."""
    claimed = registry.claimed_addresses()
    return any(
        sysfs.has_netdevs(address) and sysfs.pf_address(address) is None for address in claimed
    )

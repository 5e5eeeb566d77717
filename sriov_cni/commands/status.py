# SPDX-License-Identifier: Apache-2.0
"""STATUS: could an ADD be served now (specification, section 2, "STATUS")."""

from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.domain import addressing, configuration
from sriov_cni.domain.registry import Registry
from sriov_cni.domain.selection import select
from sriov_cni.kernel.netlink import Socket


def status(call: Call) -> None:
    """Go through what an ADD needs without doing it; raise CniError (50) with what is missing."""
    wanted = configuration.parse(call)
    try:
        registry = Registry(wanted.state_directory, create=True)
        selected = select(registry, Socket(), call, wanted)
        registry.unlock(selected.function.address)
    except CniError as error:
        raise CniError(errors.NOT_AVAILABLE, error.msg, error.details) from None
    addressing.status(call)

# SPDX-License-Identifier: Apache-2.0
"""Failures of the kernel and of the state directory, as the runtime gets to see them."""

from sriov_cni.cni import errors
from sriov_cni.cni.errors import CniError
from sriov_cni.kernel.netlink import KernelError


def explained(failure: Exception) -> CniError | None:
    """Return the CniError for a failure that is not this project's fault, None for a bug."""
    if isinstance(failure, CniError):
        return failure
    if isinstance(failure, KernelError):
        return CniError(errors.REFUSED_BY_KERNEL, "the kernel refused a request", str(failure))
    if isinstance(failure, OSError):
        return CniError(errors.STATE_UNUSABLE, "a file could not be used", str(failure))
    return None

# SPDX-License-Identifier: Apache-2.0
"""Failures of the floors below the protocol, as the runtime gets to see them."""

from sriov_cni.cni import errors
from sriov_cni.cni.errors import CniError
from sriov_cni.device.errors import DeviceError, DriverError, NoSuchDeviceError, UnreachableError
from sriov_cni.kernel.errors import KernelError

_CODES: dict[type[DeviceError], int] = {
    NoSuchDeviceError: errors.NO_SUCH_DEVICE,
    DriverError: errors.REFUSED_BY_KERNEL,
    UnreachableError: errors.TRY_AGAIN_LATER,
}


def of_device(error: DeviceError) -> CniError:
    """Return the CniError for a DeviceError."""
    return CniError(_CODES[type(error)], error.msg, error.details)


def as_cni_error(failure: Exception) -> CniError | None:
    """Return the CniError for a failure that is not this project's fault, None for a bug."""
    if isinstance(failure, CniError):
        return failure
    if isinstance(failure, DeviceError):
        return of_device(failure)
    if isinstance(failure, KernelError):
        return CniError(errors.REFUSED_BY_KERNEL, "the kernel refused a request", str(failure))
    if isinstance(failure, OSError):
        return CniError(errors.STATE_UNUSABLE, "a file could not be used", str(failure))
    return None

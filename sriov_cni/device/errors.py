# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a device. attachment/failure.py gives each its CNI code."""


class DeviceError(Exception):
    """A device cannot be had, or not be made what it should be.

    `msg` is one short sentence, `details` says which device and what the operator can do about it.
    """

    def __init__(self, msg: str, details: str) -> None:
        super().__init__(msg, details)
        self.msg = msg
        self.details = details

    def __str__(self) -> str:
        return f"{self.msg}: {self.details}"


class NoSuchDeviceError(DeviceError):
    """A PF or a VF does not exist, or is none."""


class DriverError(DeviceError):
    """A driver refused a change, or accepted it and did not make it."""


class UnreachableError(DeviceError):
    """A device is in a network namespace that nobody can name; it may come back by itself."""

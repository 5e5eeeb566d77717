# SPDX-License-Identifier: Apache-2.0
"""Errors about devices. attachment/failure.py gives each its CNI code."""


class DeviceError(Exception):
    """A device is missing, out of reach, or will not change as asked.

    `msg` is one short sentence, `details` says which device and what the operator can do about it.
    """

    def __init__(self, msg: str, details: str) -> None:
        super().__init__(msg, details)
        self.msg = msg
        self.details = details

    def __str__(self) -> str:
        return f"{self.msg}: {self.details}"


class NoSuchDeviceError(DeviceError):
    """A PF or VF does not exist, or the device named is not a PF or VF."""


class DriverError(DeviceError):
    """A driver refused a change, or accepted it and did not make it."""


class UnreachableError(DeviceError):
    """A device is in a network namespace that nobody can name; it may come back by itself."""

# SPDX-License-Identifier: Apache-2.0
"""CNI errors: the one exception a command raises, and its codes.

Codes 1-99 are the specification's (section "Error"), 100 and up are this project's; README.md
lists them for operators.
"""

INCOMPATIBLE_VERSION = 1
UNSUPPORTED_FIELD = 2
UNKNOWN_CONTAINER = 3
INVALID_ENVIRONMENT = 4
IO_FAILURE = 5
UNDECODABLE = 6
INVALID_CONFIGURATION = 7
TRY_AGAIN_LATER = 11
NOT_AVAILABLE = 50
INTERNAL = 100
NO_SUCH_DEVICE = 101
DEVICE_IN_USE = 102
REFUSED_BY_KERNEL = 103
STATE_UNUSABLE = 104
NOT_AS_ADDED = 105
IPAM_BROKEN = 106
ADDRESS_REFUSED = 110


class CniError(Exception):
    """A failure to report to the runtime.

    `code` is one of this module's numbers, `msg` one short sentence, `details` says what was being
    done, to which device, and what the operator can do about it.
    """

    def __init__(self, code: int, msg: str, details: str = "") -> None:
        super().__init__(code, msg, details)
        self.code = code
        self.msg = msg
        self.details = details

    def __str__(self) -> str:
        return f"{self.msg}: {self.details}" if self.details else self.msg

    def with_details(self, more: str) -> "CniError":
        """Return the same error with one more sentence of details."""
        details = f"{self.details}; {more}" if self.details else more
        return CniError(self.code, self.msg, details)


class DelegateError(CniError):
    """Another plugin's own error, to be passed on as it is."""

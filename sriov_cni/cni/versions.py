# SPDX-License-Identifier: Apache-2.0
"""The versions of the CNI specification and what each of them has."""

from sriov_cni.cni import errors
from sriov_cni.cni.errors import CniError

SUPPORTED = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
NEWEST = SUPPORTED[-1]
_INTRODUCED = {"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}


def at_least(version: str, wanted: str) -> bool:
    """Tell whether a supported version is `wanted` or newer."""
    return SUPPORTED.index(version) >= SUPPORTED.index(wanted)


def of_configuration(version: object) -> str:
    """Return the version a configuration's `cniVersion` asks for.

    Absent means 0.1.0; libcni passes an absent one on as an empty string. Raises CniError (1) for
    a version this project does not speak.
    """
    if version is None or version == "":
        return "0.1.0"
    if isinstance(version, str) and version in SUPPORTED:
        return version
    raise CniError(
        errors.INCOMPATIBLE_VERSION,
        "incompatible CNI version",
        f"cniVersion is {version!r:.40}, supported are {', '.join(SUPPORTED)}",
    )


def require(command: str, version: str) -> None:
    """Raise CniError (1) if `command` came into the specification only after `version`."""
    introduced = _INTRODUCED.get(command)
    if introduced is not None and not at_least(version, introduced):
        raise CniError(
            errors.INCOMPATIBLE_VERSION,
            f"{command} is not part of CNI {version}",
            f"{command} came with {introduced}: raise the configuration's cniVersion to use it",
        )

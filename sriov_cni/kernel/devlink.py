# SPDX-License-Identifier: Apache-2.0
"""The mode of a device's embedded switch, by devlink (include/uapi/linux/devlink.h).

devlink is a family of generic netlink (include/uapi/linux/genetlink.h): its number is asked for.
"""

import errno
from contextlib import closing

from pyroute2.netlink import genlmsg

from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.netlink import GENERIC, Socket

_GET_FAMILY, _CONTROL = 3, 0x10  # CTRL_CMD_GETFAMILY, GENL_ID_CTRL
_ESWITCH_GET, _ESWITCH_SET = 29, 30
_MODES = ("legacy", "switchdev")  # enum devlink_eswitch_mode
_UNKNOWN = (errno.EOPNOTSUPP, errno.ENODEV, errno.ENOENT, errno.EINVAL)


class _Control(genlmsg):
    """What the kernel tells of families."""

    nla_map = ((1, "CTRL_ATTR_FAMILY_ID", "uint16"), (2, "CTRL_ATTR_FAMILY_NAME", "asciiz"))


class _Devlink(genlmsg):
    """Which device, and its mode."""

    nla_map = (
        (1, "DEVLINK_ATTR_BUS_NAME", "asciiz"),
        (2, "DEVLINK_ATTR_DEV_NAME", "asciiz"),
        (25, "DEVLINK_ATTR_ESWITCH_MODE", "uint16"),
    )


def mode(bus: str, device: str) -> str | None:
    """Return "legacy" or "switchdev", None where the kernel or the driver knows no modes.

    Raises KernelError.
    """
    doing = f"asking for the eswitch mode of {device}"
    try:
        with closing(Socket(GENERIC)) as sock:
            message = _request(_ESWITCH_GET, bus, device)
            answer = sock.get(_family(sock), message, doing)
    except KernelError as error:
        if error.errno in _UNKNOWN:
            return None
        raise
    number = answer.get_attr("DEVLINK_ATTR_ESWITCH_MODE")
    return _MODES[number] if number in range(len(_MODES)) else None


def set_mode(bus: str, device: str, wanted: str) -> None:
    """Set the mode of a device; raises KernelError."""
    doing = f"setting the eswitch mode {wanted} of {device}"
    with closing(Socket(GENERIC)) as sock:
        message = _request(_ESWITCH_SET, bus, device)
        message["attrs"].append(("DEVLINK_ATTR_ESWITCH_MODE", _MODES.index(wanted)))
        sock.change(_family(sock), message, 0, doing)


def _request(command: int, bus: str, device: str) -> _Devlink:
    message = _Devlink()
    message["cmd"], message["version"] = command, 1
    message["attrs"] = [("DEVLINK_ATTR_BUS_NAME", bus), ("DEVLINK_ATTR_DEV_NAME", device)]
    return message


def _family(sock: Socket) -> int:
    message = _Control()
    message["cmd"], message["version"] = _GET_FAMILY, 1
    message["attrs"] = [("CTRL_ATTR_FAMILY_NAME", "devlink")]
    answer = sock.get(_CONTROL, message, "looking for devlink")
    return int(answer.get_attr("CTRL_ATTR_FAMILY_ID"))

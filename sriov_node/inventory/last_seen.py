# SPDX-License-Identifier: Apache-2.0
"""What was last seen of devices while they were on the host, kept for the agent's next start.

In a pod a device shows less: its RDMA device may be the pod's alone. An agent that starts then
must still recognize the device as the one that it had announced. The file lies beside the plugin's
records; it holds for one boot, and a damaged one counts as none.
"""

import json
import logging
from collections.abc import Mapping
from typing import NamedTuple

from sriov_cni.kernel import sysfs
from sriov_cni.store import Directory

FILE = "inventory"
_LARGEST = 4 << 20  # bytes; a VF takes about 80
_LONGEST = 64  # characters of a name; the kernel's are shorter
_log = logging.getLogger(__name__)


class Sight(NamedTuple):
    """Those properties of a device that may change while it is in a pod."""

    driver: str | None
    link_type: str | None
    rdma: tuple[str, ...] = ()


class LastSeen:
    """The sights of this boot, by device ID."""

    def __init__(self, data_dir: str) -> None:
        self._data_dir = data_dir
        self._boot = sysfs.boot_id()
        self._sights = _read(data_dir, self._boot)
        self._complaint = ""

    def get(self, device: str) -> Sight | None:
        """Return what was last seen of a device, None if nothing."""
        return self._sights.get(device)

    def keep(self, sights: Mapping[str, Sight]) -> None:
        """Have exactly these sights; they are written if that changes anything.

        A file that cannot be written costs a line in the log.
        """
        if sights == self._sights:
            return
        self._sights = dict(sights)
        devices = {device: sight._asdict() for device, sight in sights.items()}
        document = {"boot": self._boot, "devices": devices}
        try:
            directory = Directory(self._data_dir, create=True)
            directory.write(FILE, json.dumps(document, separators=(",", ":")).encode())
        except OSError as error:
            if str(error) != self._complaint:
                _log.error("%s/%s cannot be written: %s", self._data_dir, FILE, error.strerror)
            self._complaint = str(error)


def _read(data_dir: str, boot: str) -> dict[str, Sight]:
    try:
        content = Directory(data_dir, create=False).read(FILE, _LARGEST + 1)
        document = json.loads(content) if len(content) <= _LARGEST else {}
        if document["boot"] != boot:
            return {}
        return {device: _sight(**sight) for device, sight in document["devices"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        _log.warning("%s/%s is of no use and not read: %s", data_dir, FILE, error)
        return {}


def _sight(driver: object, link_type: object, rdma: object) -> Sight:
    if not isinstance(rdma, list):
        raise ValueError("rdma is no list")
    names = tuple(name for name in map(_name, rdma) if name is not None)
    return Sight(_name(driver), _name(link_type), names)


def _name(value: object) -> str | None:
    """Return a name, which may become a part of a path; raise ValueError for what is none."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= _LONGEST:
        raise ValueError(f"{str(value)[:_LONGEST]!r} is no name")
    if "/" in value or value in (".", ".."):
        raise ValueError(f"{value!r} is no name")
    return value

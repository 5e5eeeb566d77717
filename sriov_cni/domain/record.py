# SPDX-License-Identifier: Apache-2.0
"""The record of an attachment: which function it has, and what that was like before.

domain/registry.py keeps records, domain/recorded.py reads what is in their files.
"""

from typing import NamedTuple

from sriov_cni.cni import document
from sriov_cni.cni.call import Attachment
from sriov_cni.cni.document import JsonObject
from sriov_cni.domain.function import Function
from sriov_cni.kernel.links import Settings
from sriov_cni.kernel.vfs import VfAttributes

FORMAT = 1  # releases understand records of their own format and of all before it


class Device(NamedTuple):
    """A network device before an attachment changed it; `parent` as links.pci_address() has it.

    An `mtu` of 0 is unknown: old releases of the Go plugin did not keep it. So are `settings` that
    are None: records of the first release have none.
    """

    name: str
    alternative_names: tuple[str, ...]
    mac: str
    mtu: int
    up: bool
    parent: str
    settings: Settings | None = None


class Snapshot(NamedTuple):
    """A function on the host before an attachment changed it.

    `device` is None for a VF without network device (its driver serves user space), `attributes`
    where nobody administers the function: the PF's driver cannot, or it is a PF itself.
    """

    device: Device | None
    attributes: VfAttributes | None


class Record(NamedTuple):
    """One attachment's function.

    `boot` is the boot it was made in; `arguments` and `config` are the ADD's, for an IPAM DEL that
    the runtime's own DEL or GC may no longer describe. `granted` is False until another IPAM plugin
    than fixipam has answered the ADD with addresses.
    """

    attachment: Attachment
    network: str
    boot: str
    function: Function
    before: Snapshot
    arguments: str
    config: JsonObject
    granted: bool = True

    def encode(self) -> bytes:
        """Return the record as its file holds it."""
        attributes = self.before.attributes
        return document.encode(
            {
                "format": FORMAT,
                "attachment": self.attachment._asdict(),
                "network": self.network,
                "boot": self.boot,
                "function": self.function._asdict(),
                # The first release takes a record with a key it does not know for damaged, but not
                # in here: what has come since is in here.
                "before": {
                    "device": _encoded(self.before.device),
                    "attributes": attributes._asdict() if attributes is not None else None,
                    "granted": self.granted,
                },
                "arguments": self.arguments,
                "config": self.config,
            }
        )


def _encoded(device: Device | None) -> JsonObject | None:
    if device is None:
        return None
    settings = device.settings
    return device._asdict() | {"settings": settings._asdict() if settings is not None else None}

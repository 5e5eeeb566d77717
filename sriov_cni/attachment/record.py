# SPDX-License-Identifier: Apache-2.0
"""The record of an attachment: its function, and the state of that before.

records.py keeps records, record_file.py reads their files.
"""

from typing import NamedTuple

from sriov_cni.cni import document
from sriov_cni.cni.call import Arguments
from sriov_cni.cni.document import JsonObject
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device, Snapshot
from sriov_cni.kernel.sysfs import is_pci_address

_RETURNED = "returned"  # stands for the PCI address once the VF is home and IPAM DEL remains
LARGEST = 8 * document.LARGEST_DOCUMENT  # bytes; a configuration escaped to ASCII, and the rest
DEEPEST = document.DEEPEST + 1  # levels; the configuration is one level further in
FORMAT = 1  # releases understand records of their own format and of all before it


class FileName(NamedTuple):
    """A record's file name: the PCI address of the VF it claims, and the claim's owner."""

    claim: str
    owner: Owner

    def __str__(self) -> str:
        return f"{self.claim},{self.owner.file_part}"

    @classmethod
    def parse(cls, name: str) -> "FileName | None":
        """Return the parts of a file's name, None if the file is no record."""
        claim, _, rest = name.partition(",")
        owner = Owner.from_file_part(rest)
        known = claim == _RETURNED or is_pci_address(claim)
        return cls(claim, owner) if owner is not None and known else None

    @classmethod
    def of(cls, record: "Record") -> "FileName":
        """Return the name of a record that claims its VF."""
        return cls(record.function.address, record.owner)

    @property
    def is_claim(self) -> bool:
        """Whether the name claims a VF."""
        return self.claim != _RETURNED

    def without_claim(self) -> "FileName":
        """Return the name once the VF is home and only IPAM's part remains."""
        return self._replace(claim=_RETURNED)


class Record(NamedTuple):
    """One attachment's function.

    `netns` is the path of the pod's network namespace, as the ADD had it. `boot` is the boot the
    record was made in. `arguments` and `config` are the ADD's, for an IPAM DEL that the runtime's
    own DEL or GC may no longer describe. `granted` is False until another IPAM plugin than fixipam
    has answered the ADD with addresses.
    """

    owner: Owner
    netns: str
    network: str
    boot: str
    function: PciFunction
    before: Snapshot
    arguments: Arguments
    config: JsonObject
    granted: bool = True

    def encode(self) -> bytes:
        """Return the record as its file holds it."""
        attributes = self.before.attributes
        return document.encode(
            {
                "format": FORMAT,
                "attachment": {**self.owner._asdict(), "netns": self.netns},
                "network": self.network,
                "boot": self.boot,
                "function": self.function._asdict(),
                # The first release takes a record with an unknown key for damaged, except in here.
                # So keys that came later are in here.
                "before": {
                    "device": _encoded(self.before.device),
                    "attributes": attributes._asdict() if attributes is not None else None,
                    "granted": self.granted,
                },
                "arguments": self.arguments.text,
                "config": self.config,
            }
        )


def _encoded(device: Device | None) -> JsonObject | None:
    if device is None:
        return None
    settings = device.settings
    return device._asdict() | {"settings": settings._asdict() if settings is not None else None}

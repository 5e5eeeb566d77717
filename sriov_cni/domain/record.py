# SPDX-License-Identifier: Apache-2.0
"""Attachment records: which VF is whose, and what it was like before.

A record is durable before the first change to a VF and gone after the last one is undone. Its
file's name carries the claim, `<PCI address>,<container ID>,<interface>`, so that both "whose is
this VF" and "what has this attachment" are answered by the directory alone, and an operator can
read them with ls.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from sriov_cni.cni import document, errors, log
from sriov_cni.cni.call import Attachment
from sriov_cni.cni.document import Fields, JsonObject
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.names import is_pci_address
from sriov_cni.domain.function import Function
from sriov_cni.kernel import sysfs
from sriov_cni.kernel.vfs import VfAttributes
from sriov_cni.store import Directory, LockFile

_FORMAT = 1
_LARGEST = 8 * document.LARGEST_DOCUMENT  # a configuration, escaped to ASCII, and then some
_LONGEST_PATH = 4096  # PATH_MAX
_LOCK_FILE = "lock"
_RETURNED = "returned"  # stands for the PCI address once the VF is home and IPAM DEL remains


class Device(NamedTuple):
    """A network device before an attachment changed it; `parent` as in kernel/links.py.

    An `mtu` of 0 is unknown: old releases of the Go plugin did not keep it.
    """

    name: str
    alternative_names: tuple[str, ...]
    mac: str
    mtu: int
    up: bool
    parent: str


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
    the runtime's own DEL or GC may no longer describe.
    """

    attachment: Attachment
    network: str
    boot: str
    function: Function
    before: Snapshot
    arguments: str
    config: JsonObject

    def encode(self) -> bytes:
        """Return the record as its file holds it."""
        device, attributes = self.before
        before = {
            "device": device._asdict() if device is not None else None,
            "attributes": attributes._asdict() if attributes is not None else None,
        }
        return document.encode(
            {
                **self._asdict(),
                "format": _FORMAT,
                "attachment": self.attachment._asdict(),
                "function": self.function._asdict(),
                "before": before,
            }
        )


def _decode(data: bytes) -> Record:
    """Return the record in a file; raise CniError or ValueError for what no ADD has written."""
    from sriov_cni.domain import recorded  # not on ADD's way

    # the configuration, which may be as deep as any document, is one level further in
    fields = Fields(document.decode(data, "it", _LARGEST, document.DEEPEST + 1))
    if fields.values.get("format") != _FORMAT:
        raise ValueError("unknown format")
    recorded.refuse_others(fields, ("format", *Record._fields))
    before = recorded.part(fields, "before")
    device, attributes = before.object("device"), before.object("attributes")
    return Record(
        attachment=recorded.attachment(recorded.part(fields, "attachment")),
        network=recorded.identifier(fields, "network"),
        boot=recorded.text(fields, "boot"),
        function=recorded.function(recorded.part(fields, "function")),
        before=Snapshot(
            device and Device(**recorded.device(device)),
            attributes and recorded.attributes(attributes),
        ),
        arguments=recorded.text(fields, "arguments"),
        config={**recorded.part(fields, "config").values},
    )


class Registry:
    """The records of this node and the locks of its VFs.

    All methods raise CniError (104) where the state directory cannot be used.
    """

    def __init__(self, path: str, *, create: bool) -> None:
        """Open the state directory, made where it is missing if `create`.

        Raises FileNotFoundError if it is missing otherwise, CniError (104) if it cannot be used.
        """
        self._path = path
        self._locks: LockFile | None = None
        try:
            self._directory = Directory(path, create=create)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._unusable(error) from None
        self.boot = sysfs.boot_id()

    @classmethod
    def existing(cls, path: str) -> "Registry | None":
        """Return the registry, None where no attachment was ever made; raise CniError (104)."""
        try:
            return cls(path, create=False)
        except FileNotFoundError:
            return None

    def lock(self, address: str, patience: float) -> bool:
        """Take a VF's lock, waiting up to `patience` seconds; tell whether it was got."""
        with self._usable():
            if self._locks is None:
                self._locks = LockFile(f"{self._path}/{_LOCK_FILE}")
            return self._locks.acquire(_lock_number(address), patience)

    def unlock(self, address: str) -> None:
        """Give a VF's lock back."""
        with self._usable():
            if self._locks is not None:
                self._locks.release(_lock_number(address))

    def find(self, attachment: Attachment) -> Record | None:
        """Return the record of an attachment, None if it has none."""
        for name in self._names():
            if name.partition(",")[2] == f"{attachment.container_id},{attachment.ifname}":
                return self._read(name)
        return None

    def holder(self, address: str) -> Record | None:
        """Return the record that claims a VF in this boot, None if the VF is nobody's."""
        for name in self._names():
            if name.startswith(f"{address},"):
                record = self._read(name)
                if record is not None and record.boot == self.boot:
                    return record
        return None

    def attachments_of(self, network: str) -> list[Attachment]:
        """Return the attachments that have a record in a network."""
        records = (self._read(name) for name in self._names())
        return [r.attachment for r in records if r is not None and r.network == network]

    def claims(self, record: Record) -> bool:
        """Tell whether a record still claims its VF; after a reboot it does not."""
        return record.boot == self.boot and _file_name(record) in self._names()

    def predecessors_pod(self, address: str) -> str:
        """Return the path of the network namespace that the Go plugin gave a VF to, or "".

        It keeps that in pci/<address>; domain/predecessor.py has the rest. Some releases make the
        file when they lock the VF: an empty one claims nothing.
        """
        try:
            path = Directory(f"{self._path}/pci", create=False).read(address, _LONGEST_PATH)
            return path.decode().strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def end_predecessors_claim(self, address: str) -> None:
        """Remove the Go plugin's claim on a VF; none is no error."""
        with self._usable(), suppress(FileNotFoundError):
            Directory(f"{self._path}/pci", create=False).remove(address)

    def claimed_addresses(self) -> frozenset[str]:
        """Return the PCI addresses that records name, those of earlier boots included."""
        return frozenset(name.partition(",")[0] for name in self._names())

    def write(self, record: Record) -> None:
        """Make a record durable."""
        with self._usable():
            self._directory.write(_file_name(record), record.encode())

    def end_claim(self, record: Record) -> None:
        """Note that the VF is home and free, while the attachment still has IPAM to release."""
        with self._usable(), suppress(FileNotFoundError):
            self._directory.rename(_file_name(record), _file_name(record, _RETURNED))

    def remove(self, record: Record) -> None:
        """Forget a record; one already forgotten is no error."""
        with self._usable():
            self._directory.remove(_file_name(record))
            self._directory.remove(_file_name(record, _RETURNED))

    def discard_unfinished(self, unwanted: Callable[[Attachment], bool]) -> None:
        """Remove what ADDs left that were killed while they wrote their record.

        Such an ADD had not changed anything yet. Whoever holds the VF's lock may be writing.
        """
        with self._usable():
            for name in filter(_is_record_name, self._directory.unfinished()):
                address, container_id, ifname = name.split(",", 2)
                if unwanted(Attachment(container_id, ifname)) and self.lock(address, patience=0):
                    self._directory.discard(name)
                    self.unlock(address)

    def _names(self) -> list[str]:
        """Return the names of records; the Go plugin keeps files of its own in this directory."""
        with self._usable():
            return [name for name in self._directory.names() if _is_record_name(name)]

    def _read(self, name: str) -> Record | None:
        """Return a record; one that is damaged is set aside, so that it concerns nobody else."""
        try:
            record = _decode(self._directory.read(name, _LARGEST + 1))
            if name in (_file_name(record), _file_name(record, _RETURNED)):
                return record
            fault = "it is another attachment's"
        except FileNotFoundError:  # released between listing and reading
            return None
        except OSError as error:
            raise self._unusable(error) from None
        except (CniError, ValueError) as error:
            fault = str(error)
        log.write("error", f"record {self._path}/{name} is damaged, set aside: {fault}")
        with suppress(OSError):
            self._directory.rename(name, f"damaged-{name}")
        return None

    @contextmanager
    def directory(self) -> Iterator[Directory]:
        """Lend the state directory, for files that are no records: domain/predecessor.py's."""
        with self._usable():
            yield self._directory

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> CniError:
        reason = os.strerror(error.errno or errno.EIO)
        return CniError(
            errors.STATE_UNUSABLE,
            "state directory unusable",
            f"{self._path}: {reason}; make it a writable directory or set dataDir",
        )


def _is_record_name(name: str) -> bool:
    claim, *attachment = name.split(",", 2)
    return len(attachment) == 2 and (claim == _RETURNED or is_pci_address(claim))


def _file_name(record: Record, claim: str = "") -> str:
    attachment = record.attachment
    return f"{claim or record.function.address},{attachment.container_id},{attachment.ifname}"


def _lock_number(address: str) -> int:
    """Return the PCI address dddd:bb:dd.f as a number: its byte in the lock file."""
    domain, bus, rest = address.split(":")
    device, function = rest.split(".")
    return int(domain, 16) << 16 | int(bus, 16) << 8 | int(device, 16) << 3 | int(function)

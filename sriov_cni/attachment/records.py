# SPDX-License-Identifier: Apache-2.0
"""The records of this node's attachments, and the locks of their VFs.

A record is durable before the first change to a VF and gone after the last one is undone. Its
file's name carries the claim, `<PCI address>,<container ID>,<interface>`, so the directory alone
tells which attachment has a VF and which VF an attachment has, and an operator can read that with
ls. A record that cannot be read claims its VF all the same.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from sriov_cni.attachment.record import DEEPEST, LARGEST, FileName, Record
from sriov_cni.cni import document, errors, log
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.kernel import sysfs
from sriov_cni.store import Directory, LockFile

_LOCK_FILE = "lock"
_LOCK_PATIENCE = 20.0  # seconds; runtimes give an operation minutes
_UNRESTORED = "unrestored"  # stands before the PCI address of a VF that a driver let be as it was


class UnreadableError(CniError):
    """A record that this release cannot read.

    `name` is its file's name, `network` the attachment's as far as that can be read. `newer`: a
    newer release made it; otherwise it is damaged.
    """

    def __init__(self, path: str, name: str, reason: str, network: str | None, newer: bool) -> None:
        msg = "a record was made by a newer release" if newer else "a record is damaged"
        cure = "use that release" if newer else "DEL of its attachment sets it aside"
        super().__init__(errors.STATE_UNUSABLE, msg, f"{path}/{name}: {reason}; {cure}")
        self.name = name
        self.network = network
        self.newer = newer


class AttachmentRecords:
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
    def existing(cls, path: str) -> "AttachmentRecords | None":
        """Return the records, None where no attachment was ever made; raise CniError (104)."""
        try:
            return cls(path, create=False)
        except FileNotFoundError:
            return None

    def lock(self, function: PciFunction) -> None:
        """Take a VF's lock; raise CniError (11) if another operation keeps it for too long."""
        if not self._acquire(function.address, _LOCK_PATIENCE):
            raise CniError(
                errors.TRY_AGAIN_LATER,
                f"{function} is busy",
                f"another operation has held its lock for {_LOCK_PATIENCE:.0f} s",
            )

    def try_lock(self, address: str, patience: float = 0) -> bool:
        """Take a VF's lock, waiting up to `patience` seconds; tell whether it was got."""
        return self._acquire(address, patience)

    def is_locked(self, address: str) -> bool:
        """Tell whether another process has a VF's lock; it is not taken."""
        with self._usable():
            return self._lock_file().is_held(_lock_number(address))

    def _acquire(self, address: str, patience: float) -> bool:
        with self._usable():
            return self._lock_file().acquire(_lock_number(address), patience)

    def _lock_file(self) -> LockFile:
        if self._locks is None:
            self._locks = LockFile(f"{self._path}/{_LOCK_FILE}")
        return self._locks

    def unlock(self, address: str) -> None:
        """Give a VF's lock back."""
        with self._usable():
            if self._locks is not None:
                self._locks.release(_lock_number(address))

    def find(self, owner: Owner) -> Record | None:
        """Return the record of an attachment, None if it has none; raise UnreadableError."""
        for name in self._names():
            if name.owner == owner:
                return self.read(name)
        return None

    def claimant(self, address: str) -> Record | None:
        """Return the record that claims a VF in this boot, None if no record does.

        Raises UnreadableError for a record of which only its name says so.
        """
        for name in self._names():
            if name.claim == address:
                record = self.read(name)
                if record is not None and record.boot == self.boot:
                    return record
        return None

    def is_claimed(self, address: str) -> bool:
        """Tell whether a record claims a VF in this boot, also one that cannot be read."""
        try:
            return self.claimant(address) is not None
        except UnreadableError:
            return True

    def owners_in(self, network: str) -> list[Owner]:
        """Return the owners of a network's records, those that cannot be read among them.

        A record that does not even tell its network gets a line in the log instead.
        """
        found = []
        for name in self._names():
            try:
                record = self.read(name)
            except UnreadableError as error:
                log.write("error", str(error))
                found += [name.owner] if error.network == network else []
            else:
                found += [record.owner] if record and record.network == network else []
        return found

    def claims(self, record: Record) -> bool:
        """Tell whether a record still claims its VF; after a reboot it does not."""
        return record.boot == self.boot and FileName.of(record) in self._names()

    def claimed_addresses(self) -> frozenset[str]:
        """Return the PCI addresses that records name, those of earlier boots included."""
        return frozenset(name.claim for name in self._names())

    def versions(self) -> dict[FileName, tuple[int, int]]:
        """Return the names of all records, each with what changes when its file does."""
        with self._usable():
            versions = self._directory.versions()
        return {name: versions[str(name)] for name in _record_names(versions)}

    def write(self, record: Record) -> None:
        """Make a record durable."""
        with self._usable():
            self._directory.write(str(FileName.of(record)), record.encode())

    def end_claim(self, record: Record) -> None:
        """Note that the VF is home and free, while the attachment still has IPAM to release."""
        name = FileName.of(record)
        with self._usable(), suppress(FileNotFoundError):
            self._directory.rename(str(name), str(name.without_claim()))

    def remove(self, record: Record) -> None:
        """Forget a record; one already forgotten is no error."""
        name = FileName.of(record)
        with self._usable():
            self._directory.remove(str(name))
            self._directory.remove(str(name.without_claim()))

    def discard_unfinished(self, unwanted: Callable[[Owner], bool]) -> None:
        """Remove what ADDs left that were killed while they wrote their record.

        Such an ADD had not changed anything yet. Whoever holds the VF's lock may be writing.
        """
        with self._usable():
            for name in _record_names(self._directory.unfinished()):
                if name.is_claim and unwanted(name.owner) and self.try_lock(name.claim):
                    self._directory.discard(str(name))
                    self.unlock(name.claim)

    def _names(self) -> list[FileName]:
        """Return the names of records; the Go plugin keeps files of its own in this directory."""
        with self._usable():
            return _record_names(self._directory.names())

    def set_aside(self, damaged: UnreadableError) -> None:
        """End the claim of a damaged record; its file stays, under another name."""
        log.write("error", f"{damaged}; it is set aside as damaged-{damaged.name}")
        with self._usable(), suppress(FileNotFoundError):
            self._directory.rename(damaged.name, f"damaged-{damaged.name}")

    def note_unrestored(self, record: Record, refused: list[str]) -> str:
        """Keep a record of a VF that a driver would not restore, for its next ADD to try again.

        Returns the path of that note. A note from earlier in this boot stays: it has the VF's
        state before any of its attachments.
        """
        address = record.function.address
        name = f"{_UNRESTORED},{address}"
        if self.unrestored(address) is None:
            with self._usable():
                try:
                    content = self._directory.read(str(FileName.of(record)), LARGEST + 1)
                except FileNotFoundError:  # an attachment of the Go plugin has no record
                    content = record.encode()
                noted = document.decode(content, "it", LARGEST, DEEPEST) | {"refused": refused}
                self._directory.write(name, document.encode(noted))
        return f"{self._path}/{name}"

    def unrestored(self, address: str) -> Record | None:
        """Return the record of the attachment that left a VF unrestored, None if none did.

        A note of an earlier boot, or one that cannot be read, is removed: it restores nothing.
        """
        name = f"{_UNRESTORED},{address}"
        try:
            record = self._decoded(name)
        except UnreadableError as error:
            log.write("error", f"{error}; it is removed")
            record = None
        else:
            if record is None or record.boot == self.boot:
                return record
        self.forget_unrestored(address)
        return None

    def forget_unrestored(self, address: str) -> None:
        """Remove the note about a VF that is as it was, after all."""
        with self._usable():
            self._directory.remove(f"{_UNRESTORED},{address}")

    def read(self, name: FileName) -> Record | None:
        """Return the record in a file, None if the file is gone; raise UnreadableError."""
        record = self._decoded(str(name))
        if record is not None:
            own = FileName.of(record)
            if name not in (own, own.without_claim()):
                reason = "it is another attachment's"
                raise UnreadableError(self._path, str(name), reason, record.network, newer=False)
        return record

    def _decoded(self, name: str) -> Record | None:
        try:
            content = self._directory.read(name, LARGEST + 1)
        except FileNotFoundError:  # released between listing and reading
            return None
        except OSError as error:
            raise self._unusable(error) from None
        from sriov_cni.attachment import record_file  # a usual ADD finds no record

        try:
            return record_file.read_record(content)
        except (CniError, ValueError) as error:
            network, newer = record_file.read_outline(content)
            raise UnreadableError(self._path, name, str(error), network, newer) from None

    @contextmanager
    def directory(self) -> Iterator[Directory]:
        """Lend the state directory, for files that are no records: goplugin/'s."""
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


def _record_names(names: Iterable[str]) -> list[FileName]:
    parsed = (FileName.parse(name) for name in names)
    return [name for name in parsed if name is not None]


def _lock_number(address: str) -> int:
    """Return the PCI address dddd:bb:dd.f as a number: its byte in the lock file."""
    domain, bus, rest = address.split(":")
    device, function = rest.split(".")
    return int(domain, 16) << 16 | int(bus, 16) << 8 | int(device, 16) << 3 | int(function)

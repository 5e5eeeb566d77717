# SPDX-License-Identifier: Apache-2.0
"""The records of this node's attachments, and the locks of their VFs.

A record is durable before the first change to a VF and gone after the last one is undone. Its
file's name carries the claim, `<PCI address>,<container ID>,<interface>`, so that both "whose is
this VF" and "what has this attachment" are answered by the directory alone, and an operator can
read them with ls. A record that cannot be read claims its VF all the same.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sriov_cni.cni import document, errors, log
from sriov_cni.cni.call import Attachment
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.names import is_pci_address
from sriov_cni.domain.record import Record
from sriov_cni.kernel import sysfs
from sriov_cni.store import Directory, LockFile

LARGEST = 8 * document.LARGEST_DOCUMENT  # a configuration, escaped to ASCII, and then some
DEEPEST = document.DEEPEST + 1  # the configuration is one level further in
_LONGEST_PATH = 4096  # PATH_MAX
_LOCK_FILE = "lock"
_RETURNED = "returned"  # stands for the PCI address once the VF is home and IPAM DEL remains
_UNRESTORED = "unrestored"  # stands before the PCI address of a VF that a driver let be as it was


class UnreadableError(CniError):
    """A record that this release cannot read.

    `name` is its file's name, `network` the attachment's as far as that can be read. `newer`: a
    newer release made it; otherwise it is damaged.
    """

    def __init__(self, path: str, name: str, fault: str, network: str | None, newer: bool) -> None:
        msg = "a record was made by a newer release" if newer else "a record is damaged"
        cure = "use that release" if newer else "DEL of its attachment sets it aside"
        super().__init__(errors.STATE_UNUSABLE, msg, f"{path}/{name}: {fault}; {cure}")
        self.name = name
        self.network = network
        self.newer = newer


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
        """Return the record of an attachment, None if it has none; raise UnreadableError."""
        for name in self._names():
            if name.partition(",")[2] == f"{attachment.container_id},{attachment.ifname}":
                return self._read(name)
        return None

    def holder(self, address: str) -> Record | None:
        """Return the record that claims a VF in this boot, None if the VF is nobody's.

        Raises UnreadableError for a record of which only its name says so.
        """
        for name in self._names():
            if name.startswith(f"{address},"):
                record = self._read(name)
                if record is not None and record.boot == self.boot:
                    return record
        return None

    def is_claimed(self, address: str) -> bool:
        """Tell whether a record claims a VF in this boot, also one that cannot be read."""
        try:
            return self.holder(address) is not None
        except UnreadableError:
            return True

    def attachments_of(self, network: str) -> list[Attachment]:
        """Return the attachments that have a record in a network, also one that cannot be read.

        Of a record that does not even tell its network there is only a line in the log.
        """
        found = []
        for name in self._names():
            try:
                record = self._read(name)
            except UnreadableError as error:
                log.write("error", str(error))
                if error.network == network:
                    _, container_id, ifname = name.split(",", 2)
                    found.append(Attachment(container_id, ifname))
            else:
                if record is not None and record.network == network:
                    found.append(record.attachment)
        return found

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

    def set_aside(self, damaged: UnreadableError) -> None:
        """End the claim of a damaged record; its file stays, under another name."""
        log.write("error", f"{damaged}; it is set aside as damaged-{damaged.name}")
        with self._usable(), suppress(FileNotFoundError):
            self._directory.rename(damaged.name, f"damaged-{damaged.name}")

    def note_unrestored(self, record: Record, refused: list[str]) -> str:
        """Keep a record of what a driver would not take back, for the VF's next ADD to try again.

        Returns the path of that note. A note from earlier in this boot stays as it is: it knows
        what the VF was like before all of it.
        """
        address = record.function.address
        name = f"{_UNRESTORED},{address}"
        if self.unrestored(address) is None:
            with self._usable():
                try:
                    content = self._directory.read(_file_name(record), LARGEST + 1)
                except FileNotFoundError:  # of the Go plugin's attachments there is none
                    content = record.encode()
                noted = document.decode(content, "it", LARGEST, DEEPEST) | {"refused": refused}
                self._directory.write(name, document.encode(noted))
        return f"{self._path}/{name}"

    def unrestored(self, address: str) -> Record | None:
        """Return the record of who left a VF home but not as it was, None if nobody did.

        One of an earlier boot, or that cannot be read, is removed: nothing can be restored from it.
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

    def _read(self, name: str) -> Record | None:
        """Return the record in a file, None if there is none any more; raise UnreadableError."""
        record = self._decoded(name)
        if record is not None and name not in (_file_name(record), _file_name(record, _RETURNED)):
            fault = "it is another attachment's"
            raise UnreadableError(self._path, name, fault, record.network, newer=False)
        return record

    def _decoded(self, name: str) -> Record | None:
        from sriov_cni.domain import recorded  # not on ADD's way

        try:
            content = self._directory.read(name, LARGEST + 1)
        except FileNotFoundError:  # released between listing and reading
            return None
        except OSError as error:
            raise self._unusable(error) from None
        try:
            return recorded.record(content)
        except (CniError, ValueError) as error:
            network, newer = recorded.outline(content)
            raise UnreadableError(self._path, name, str(error), network, newer) from None

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

# SPDX-License-Identifier: Apache-2.0
"""Leases: which attachment has which address of a network on this node.

A lease is an empty file `<address>,<container ID>,<interface>` in the network's directory. Where a
pool was used, the file `released` there lists the addresses released, one a line, the latest last.
Only an order depends on it: a lost or wrong line does no harm.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sriov_cni.cni import errors
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.owner import Owner
from sriov_cni.store import Directory

_RELEASED = "released"
_REMEMBERED = 512  # addresses; more than a node's pods, few enough to go through at every ADD
_LONGEST = 1 << 17  # bytes of the list; an IPv6 address and its end have 40 at most
_LOCK_PATIENCE = 20.0  # seconds; the lock's holder waits for nothing but the disk


class Leases:
    """The leases of one network. All methods raise CniError (104) if the directory fails."""

    def __init__(self, data_directory: str, network: str, *, create: bool) -> None:
        """Open the network's directory, made where it is missing if `create`.

        Raises FileNotFoundError if it is missing otherwise.
        """
        self._path = f"{data_directory}/{network}"
        try:
            data = Directory(data_directory, create=create)
            self._directory = data.subdirectory(network, create=create)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._unusable(error) from None

    @classmethod
    def existing(cls, data_directory: str, network: str) -> "Leases | None":
        """Return the leases of a network, None where none was ever granted."""
        try:
            return cls(data_directory, network, create=False)
        except FileNotFoundError:
            return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out while leases are read and, going by that, written.

        Raises CniError (11) if another one does not come to an end.
        """
        try:
            with self._directory.locked(_LOCK_PATIENCE):
                for name in self._directory.unfinished():  # only the lock's holder writes
                    self._directory.discard(name)
                yield
        except TimeoutError as error:
            raise CniError(
                errors.TRY_AGAIN_LATER, f"leases of {self._path} are busy", str(error)
            ) from None
        except OSError as error:
            raise self._unusable(error) from None

    def owners(self) -> dict[str, Owner]:
        """Return the leased addresses with the attachment that has each."""
        try:
            names = self._directory.names()
        except OSError as error:
            raise self._unusable(error) from None
        parts = (name.partition(",") for name in names)
        owners = {address: Owner.from_file_part(rest) for address, _, rest in parts}
        return {address: owner for address, owner in owners.items() if owner is not None}

    def require_writable(self) -> None:
        """Raise CniError (104) if nothing can be leased here."""
        try:
            self._directory.require_writable()
        except OSError as error:
            raise self._unusable(error) from None

    def grant(self, address: str, owner: Owner) -> None:
        """Record a lease, durably."""
        try:
            self._directory.write(_file_name(address, owner), b"")
        except OSError as error:
            raise self._unusable(error) from None

    def release(self, address: str, owner: Owner) -> None:
        """Forget a lease; one already forgotten is no error."""
        try:
            self._directory.remove(_file_name(address, owner))
        except OSError as error:
            raise self._unusable(error) from None
        with suppress(OSError):
            self._directory.append(_RELEASED, os.fsencode(f"{address}\n"), _LONGEST)

    def released(self) -> list[str]:
        """Return the addresses released lately, the one released longest ago first.

        They are remembered from the first call on; the caller holds the lock. Some may be leased
        again, and what somebody else wrote is among them.
        """
        with suppress(OSError):
            try:
                lines = self._directory.read(_RELEASED, _LONGEST).split(b"\n")
            except FileNotFoundError:
                lines = []
                self._directory.write(_RELEASED, b"")
            # of an address released twice the later line counts
            latest = list(dict.fromkeys(filter(None, reversed(lines))))[_REMEMBERED - 1 :: -1]
            if len(lines) > 2 * _REMEMBERED:
                self._directory.write(_RELEASED, b"\n".join([*latest, b""]))
            return [line.decode("ascii", "replace") for line in latest]
        return []

    def _unusable(self, error: OSError) -> CniError:
        return CniError(
            errors.STATE_UNUSABLE,
            "lease directory unusable",
            f"{self._path}: {error.strerror}; make it a writable directory or set ipam.dataDir",
        )


def _file_name(address: str, owner: Owner) -> str:
    return f"{address},{owner.file_part}"

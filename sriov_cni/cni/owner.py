# SPDX-License-Identifier: Apache-2.0
"""The owner of a record or a lease: one interface of one container.

The specification's primary key (section 2, "Parameters"): records, leases, DEL and GC go by it.
"""

from typing import NamedTuple


class Owner(NamedTuple):
    """One attachment: the container's ID and the name of the interface in it."""

    container_id: str
    ifname: str

    def __str__(self) -> str:
        return f"interface {self.ifname} of container {self.container_id}"

    @property
    def file_part(self) -> str:
        """The owner as the last part of a file's name; a container ID has no comma."""
        return f"{self.container_id},{self.ifname}"

    @classmethod
    def from_file_part(cls, text: str) -> "Owner | None":
        """Return the owner that the last part of a file's name tells, None if it tells none."""
        container_id, comma, ifname = text.partition(",")
        return cls(container_id, ifname) if comma else None

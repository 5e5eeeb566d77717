# SPDX-License-Identifier: Apache-2.0
"""A case: all that a call of a plugin reads, as one string of bytes that a fuzzer can change.

Parts are separated by an unlikely line. The first is the environment, as /proc/<pid>/environ has
it; variables that are not `CNI_*` tell the target how to arrange things. The second is stdin; what
the others are is the target's affair.
"""

from collections.abc import Mapping
from typing import NamedTuple

SEPARATOR = b"\n\x1e\n"


class Case(NamedTuple):
    """Environment and parts; `stdin` is the first of them, `more` the others."""

    environment: Mapping[bytes, bytes]
    stdin: bytes
    more: tuple[bytes, ...] = ()

    @property
    def command(self) -> bytes:
        """CNI_COMMAND."""
        return self.environment.get(b"CNI_COMMAND", b"")

    def encode(self) -> bytes:
        """Return the case as a fuzzer has it."""
        block = b"\0".join(b"%s=%s" % pair for pair in self.environment.items())
        return SEPARATOR.join((block, self.stdin, *self.more))

    def part(self, number: int) -> bytes:
        """Return one of `more`, empty if the case has not as many."""
        return self.more[number] if number < len(self.more) else b""


def decode(data: bytes) -> Case:
    """Return the case that any bytes are."""
    block, *parts = data.split(SEPARATOR)
    pairs = (entry.partition(b"=") for entry in block.split(b"\0"))
    environment = {key: value for key, equals, value in pairs if key and equals}
    stdin, *more = parts or [b""]
    return Case(environment, stdin, tuple(more))


def environment(command: str, **variables: str) -> dict[bytes, bytes]:
    """Return the environment of a runtime's call, some of it changed."""
    usual = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": "pod",
        "CNI_NETNS": "/run/netns/pod",
        "CNI_IFNAME": "net1",
        "CNI_ARGS": "IgnoreUnknown=1;VF=0",
        "CNI_PATH": "",
    }
    return {key.encode(): value.encode() for key, value in (usual | variables).items()}

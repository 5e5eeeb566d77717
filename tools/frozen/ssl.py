# SPDX-License-Identifier: Apache-2.0
"""What the agent's bundle has in place of the standard library's ssl: names, and no TLS.

prometheus_client imports ssl wherever it is imported, for servers and clients with TLS that the
agent does not have; asyncio and http take its presence for granted then. OpenSSL would be a third
of the bundle, and one more library whose security fixes somebody has to follow. Here is what they
name while they are imported, or compare with what they are given; no context can be made of it.
"""

from enum import IntEnum


class SSLError(OSError):
    """Never raised: nothing can fail."""


class SSLWantReadError(SSLError):
    """Never raised."""


class SSLSyscallError(SSLError):
    """Never raised."""


class CertificateError(SSLError):
    """Never raised."""


PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER = 16, 17
CERT_NONE, CERT_REQUIRED = 0, 2


class TLSVersion(IntEnum):
    """Named in annotations."""

    TLSv1_2 = 771


class SSLContext:
    """No context can be made."""

    def __init__(self, protocol: int = PROTOCOL_TLS_CLIENT) -> None:
        raise NotImplementedError("sriov-agent is built without TLS")


class DefaultVerifyPaths:
    """What grpclib's client compares with what it is given."""


class SSLSocket:
    """What asyncio takes no socket for."""


class MemoryBIO:
    """Named by asyncio."""

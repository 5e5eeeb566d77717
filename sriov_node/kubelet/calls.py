# SPDX-License-Identifier: Apache-2.0
"""Calls between kubelet and plugins: how they fail, and messages that are none."""

import asyncio
import struct
from typing import TypeVar

from google.protobuf.message import DecodeError
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.server import Stream

# AssertionError is grpclib's for an answer that ends within a message, AttributeError for a
# connection that ended before the call was made.
FAILURES = (
    OSError,
    asyncio.TimeoutError,
    GRPCError,
    ProtocolError,
    StreamTerminatedError,
    DecodeError,
    AssertionError,
    AttributeError,
)
_MALFORMED = (DecodeError, AssertionError, NotImplementedError, struct.error)

Request = TypeVar("Request")
Reply = TypeVar("Reply")


def words(error: BaseException) -> str:
    """Return why a call failed, in words for the log."""
    if isinstance(error, GRPCError):
        return error.message or error.status.name
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else repr(error))


async def received(stream: Stream[Request, Reply]) -> Request:
    """Return a call's request; GRPCError refuses a caller whose message is none."""
    try:
        request = await stream.recv_message()
    except _MALFORMED:
        request = None
    if request is None:
        raise GRPCError(Status.INVALID_ARGUMENT, "the call has no valid request message")
    return request

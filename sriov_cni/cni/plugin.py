# SPDX-License-Identifier: Apache-2.0
"""A plugin's process: read the call, run its command, print the answer.

The one place that writes to stdout, and where every failure becomes the specification's error
object (section "Error").
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from sriov_cni.cni import call, document, errors, log, versions
from sriov_cni.cni.call import Call
from sriov_cni.cni.document import Fields, JsonObject
from sriov_cni.cni.errors import CniError

if TYPE_CHECKING:  # VERSION, which runtimes call often, needs no addresses
    from sriov_cni.cni.result import Result

Command = Callable[[Call], "Result | None"]


def run(
    command_named: Callable[[str], Command], as_cni_error: Callable[[Exception], CniError | None]
) -> int:
    """Serve the one call this process was started for and return its exit status.

    `command_named` returns the function for a command's name, importing it only then. Such a
    function returns None where the specification wants no output. `as_cni_error` turns the plugin's
    own kinds of failure into errors of the protocol, and returns None for a bug.
    """
    begun = time.monotonic()
    version, config = versions.NEWEST, JsonObject()
    try:
        command = call.command_of(os.environ)
        if command == "VERSION":
            return _write(document.encode(_versions()))
        config = _configuration()
        with suppress(CniError):  # whoever uses the log says what is wrong with it
            log.configure_as(Fields(config))
        version = versions.of_configuration(config.get("cniVersion"))
        result = command_named(command)(call.read(command, os.environ, config, version))
        answer = document.encode(result.document(version)) if result is not None else b""
        error = None
    except Exception as failure:
        error = as_cni_error(failure) or _internal(failure)
        answer = document.encode(_error_document(version, error))
    if answer and _write(answer) != 0:
        error = error or CniError(errors.IO_FAILURE, "cannot write the answer")
    if log.has_operations():
        _log_end(config, time.monotonic() - begun, error)
    return 0 if error is None else 1


def _log_end(config: JsonObject, seconds: float, error: CniError | None) -> None:
    with suppress(OSError):  # the answer is given, so that this must not fail
        from sriov_cni.cni import operation  # most nodes have no such log

        operation.write(os.environ, config, seconds, error)


def _configuration() -> JsonObject:
    return document.decode(_read_stdin(), "the configuration on stdin")


def _read_stdin() -> bytes:
    try:
        with open(0, "rb", closefd=False) as stdin:
            # None: a pipe that does not block, and is empty
            return stdin.read(document.LARGEST_DOCUMENT + 1) or b""
    except OSError as error:
        raise CniError(errors.IO_FAILURE, "cannot read stdin", str(error)) from None


def _write(answer: bytes) -> int:
    """Write the one document and return the exit status: 1 if it could not be written."""
    try:
        with open(1, "wb", closefd=False) as stdout:
            stdout.write(answer + b"\n")
    except OSError:
        return 1
    return 0


def _versions() -> JsonObject:
    """Return VERSION's answer, in the version asked with if that is known here.

    An installer or a person who tries the plugin out gives no configuration.
    """
    try:
        asked = _configuration().get("cniVersion")
    except CniError:
        asked = None
    version = asked if asked in versions.SUPPORTED else versions.NEWEST
    return {"cniVersion": version, "supportedVersions": versions.SUPPORTED}


def _error_document(version: str, error: CniError) -> JsonObject:
    shape = {"cniVersion": version, "code": error.code, "msg": error.msg}
    return {**shape, "details": error.details} if error.details else shape


def _internal(error: Exception) -> CniError:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    return CniError(
        errors.INTERNAL,
        "internal error",
        f"{type(error).__name__}: {error} at {place}; please report this",
    )

# SPDX-License-Identifier: Apache-2.0
"""A plugin's process: read the call, run its command, print the answer.

The one place that writes to stdout, and where every failure becomes the specification's error
object (section "Error").
"""

import os
import sys
from collections.abc import Callable

from sriov_cni.cni import call, document, errors, versions
from sriov_cni.cni.call import Call
from sriov_cni.cni.document import JsonObject
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Result

Command = Callable[[Call], Result | None]


def run(
    command_named: Callable[[str], Command], explained: Callable[[Exception], CniError | None]
) -> int:
    """Serve the one call this process was started for and return its exit status.

    `command_named` returns the function for a command's name, importing it only then. Such a
    function returns None where the specification wants no output. `explained` turns the plugin's
    own kinds of failure into errors of the protocol, and returns None for a bug.
    """
    version = versions.NEWEST
    try:
        command = call.command_of(os.environ)
        config = document.decode(_read_stdin(), "the configuration on stdin")
        version = versions.of_configuration(config.get("cniVersion"))
        if command == "VERSION":
            answer: JsonObject | None = {"supportedVersions": versions.SUPPORTED}
        else:
            result = command_named(command)(call.read(command, os.environ, config, version))
            answer = result.document(version) if result is not None else None
        if answer is not None:
            _write({"cniVersion": version, **answer})
    except Exception as failure:
        _write(_error_document(version, explained(failure) or _internal(failure)))
        return 1
    return 0


def _read_stdin() -> bytes:
    try:
        return sys.stdin.buffer.read(document.LARGEST_DOCUMENT + 1)
    except OSError as error:
        raise CniError(errors.IO_FAILURE, "cannot read stdin", str(error)) from None


def _write(answer: JsonObject) -> None:
    sys.stdout.buffer.write(document.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


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

# SPDX-License-Identifier: Apache-2.0
"""Executing another plugin for a part of the work (specification, section 4)."""

import os
import sys

from sriov_cni.cni import document, errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError, DelegateError
from sriov_cni.cni.result import Result, parse_result

_LARGEST_ANSWER = 1 << 22  # bytes


def find(plugin: str, path: str) -> str:
    """Return the executable of a plugin type in the directories of CNI_PATH.

    Raises CniError (7) if the type is no file's name or no directory has it.
    """
    if not 0 < len(plugin) < 256 or "/" in plugin or "\0" in plugin or plugin in (".", ".."):
        raise CniError(
            errors.INVALID_CONFIGURATION, "invalid plugin type", f"{plugin!r:.80} is no file's name"
        )
    for directory in filter(None, path.split(":")):
        candidate = os.path.join(directory, plugin)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise CniError(
        errors.INVALID_CONFIGURATION,
        f"plugin {plugin} not found",
        f"no directory of CNI_PATH ({path or 'which is empty'}) has an executable {plugin}",
    )


def execute(plugin: str, call: Call) -> Result | None:
    """Have another plugin serve the call; return the result of an ADD, None of other commands.

    The plugin gets the whole configuration, and writes to our stderr. Raises the DelegateError it
    answers with, unchanged, and CniError (106) if it answers with something else.
    """
    path = find(plugin, call.path)
    try:
        status, output = _run(path, _environment(call), document.encode(call.config))
    except OSError as error:
        raise CniError(errors.IO_FAILURE, f"{path} cannot be executed", str(error)) from None
    if status != 0:
        raise _failure(plugin, status, output)
    if call.command != "ADD":
        return None
    try:
        return parse_result(_decoded(plugin, output), f"{plugin}: ")
    except CniError as error:
        raise CniError(
            errors.IPAM_BROKEN, f"{plugin} answered with what is no result", str(error)
        ) from None


def _decoded(plugin: str, output: bytes) -> document.JsonObject:
    return document.decode(output, f"the output of {plugin}", _LARGEST_ANSWER)


def _failure(plugin: str, status: int, output: bytes) -> CniError:
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    try:
        answer = document.Fields(_decoded(plugin, output), f"{plugin}: ")
        code = answer.integer("code", 1, (1 << 32) - 1)
        msg, details = answer.text("msg"), answer.text("details") or ""
        if code is not None and msg:
            return DelegateError(code, msg, details)
        reason = "its answer has no code and msg"
    except CniError as error:
        reason = str(error)
    return CniError(errors.IPAM_BROKEN, f"{plugin} failed with {how}", reason)


def _environment(call: Call) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CNI_")}
    # PyInstaller's bootloader points the loader at the bundle; the delegate has its own libraries.
    original = environment.pop("LD_LIBRARY_PATH_ORIG", None)
    if original is not None:
        environment["LD_LIBRARY_PATH"] = original
    elif hasattr(sys, "_MEIPASS"):
        environment.pop("LD_LIBRARY_PATH", None)
    wanted = {
        "CNI_COMMAND": call.command,
        "CNI_CONTAINERID": call.owner.container_id,
        "CNI_NETNS": call.netns,
        "CNI_IFNAME": call.owner.ifname,
        "CNI_ARGS": call.arguments.text,
        "CNI_PATH": call.path,
    }
    environment = {k: v for k, v in environment.items() if not k.startswith("_PYI_")}
    return environment | {key: value for key, value in wanted.items() if value}


def _run(path: str, environment: dict[str, str], stdin: bytes) -> tuple[int, bytes]:
    """Run a program to its end; return its exit status (negative: a signal) and its stdout.

    posix_spawn, because importing subprocess costs more than spawning; its stdin is a file in
    memory, so that neither side can wait for the other.
    """
    given = os.memfd_create("stdin", os.MFD_CLOEXEC)
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    try:
        with open(given, "wb", closefd=False) as file:
            file.write(stdin)
        os.lseek(given, 0, os.SEEK_SET)
        redirections = [(os.POSIX_SPAWN_DUP2, given, 0), (os.POSIX_SPAWN_DUP2, theirs, 1)]
        child = os.posix_spawn(path, [path], environment, file_actions=redirections)
        os.close(theirs)
        theirs = -1
        with open(ours, "rb", closefd=False) as answer:
            output = answer.read(_LARGEST_ANSWER + 1)
    finally:
        for fd in (given, ours, theirs):
            if fd >= 0:
                os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output

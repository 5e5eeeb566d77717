# SPDX-License-Identifier: Apache-2.0
"""Both executables as processes: one JSON document on stdout, coded errors, silence on stderr."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from sriov_cni.cni import errors
from sriov_cni.cni.versions import NEWEST, SUPPORTED
from tests.plugin import Document
from tests.unit.executable import REPOSITORY, execute

MODULES = ["sriov_cni", "ipam"]
ATTACHMENT = {"CNI_CONTAINERID": "pod", "CNI_NETNS": "/run/netns/pod", "CNI_IFNAME": "net1"}
both = pytest.mark.parametrize("module", MODULES)


def answer(module: str, command: str, stdin: bytes) -> tuple[int, Document]:
    """Return exit status and document of a call; stderr is empty."""
    environment = {"CNI_COMMAND": command, **ATTACHMENT} if command else {}
    process = execute(sys.executable, "-m", module, environment=environment, stdin=stdin)
    assert process.stderr == b""
    document = json.loads(process.stdout)  # anything behind the document is an error to it
    assert isinstance(document, dict)
    return process.returncode, document


def refusal(module: str, command: str, stdin: bytes) -> Any:
    """Return the code of a call's error object."""
    status, document = answer(module, command, stdin)
    assert status == 1
    assert document["cniVersion"] in SUPPORTED
    assert document["msg"]
    return document["code"]


@both
@pytest.mark.parametrize("version", ["0.1.0", "1.1.0"])
def test_version_tells_what_is_supported(module: str, version: str) -> None:
    stdin = json.dumps({"cniVersion": version}).encode()
    expected = {"cniVersion": version, "supportedVersions": list(SUPPORTED)}
    assert answer(module, "VERSION", stdin) == (0, expected)


@both
def test_version_tells_it_to_a_runtime_newer_than_itself(module: str) -> None:
    status, document = answer(module, "VERSION", b'{"cniVersion":"1.2.0"}')
    assert (status, document.get("supportedVersions")) == (0, list(SUPPORTED))


@both
@pytest.mark.parametrize(
    "stdin",
    [b"", b"\n", b"x", b"\xff", b"[]", b"null", b"[" * 100_000, b'{"cniVersion":["1.1.0"]}'],
)
def test_version_needs_no_configuration(module: str, stdin: bytes) -> None:
    expected = {"cniVersion": NEWEST, "supportedVersions": list(SUPPORTED)}
    assert answer(module, "VERSION", stdin) == (0, expected)


@both
@pytest.mark.parametrize("redirection", ["<&-", "0>/dev/null", "</dev/null"])
def test_version_needs_no_stdin(module: str, redirection: str) -> None:
    process = redirected(redirection, module=module)
    assert (process.returncode, process.stderr) == (0, b"")
    assert json.loads(process.stdout)["supportedVersions"] == list(SUPPORTED)


@both
@pytest.mark.parametrize("command", ["", "UPDATE"])
def test_a_call_without_a_known_command_is_refused(module: str, command: str) -> None:
    assert refusal(module, command, b"{}") == errors.INVALID_ENVIRONMENT


@both
def test_an_unknown_version_is_incompatible_and_answered_in_the_newest(module: str) -> None:
    status, document = answer(module, "ADD", b'{"cniVersion":"1.2.0","name":"mynet"}')
    assert (status, document["code"]) == (1, errors.INCOMPATIBLE_VERSION)
    assert document["cniVersion"] == NEWEST


@both
def test_an_error_has_the_version_of_the_configuration(module: str) -> None:
    _, document = answer(module, "ADD", b'{"cniVersion":"0.3.1","name":"../x"}')
    assert (document["cniVersion"], document["code"]) == ("0.3.1", errors.INVALID_CONFIGURATION)


@both
@pytest.mark.parametrize("stdin", [b"", b"[" * 100_000])
def test_a_configuration_that_is_no_json_is_undecodable(module: str, stdin: bytes) -> None:
    assert refusal(module, "ADD", stdin) == errors.UNDECODABLE


HALF_A_CHARACTER = [
    ("sriov_cni", "ADD", rb'{"name":"mynet","master":"\ud800"}'),
    ("sriov_cni", "DEL", rb'{"name":"mynet","dataDir":"/proc/\ud800"}'),
    ("ipam", "DEL", rb'{"name":"mynet","ipam":{"dataDir":"/proc/\ud800"}}'),
]


@pytest.mark.parametrize(("module", "command", "stdin"), HALF_A_CHARACTER)
def test_text_that_no_file_can_be_called_is_no_internal_error(
    module: str, command: str, stdin: bytes
) -> None:
    code = refusal(module, command, stdin)
    assert code in (errors.UNDECODABLE, errors.INVALID_CONFIGURATION)


@pytest.mark.parametrize("redirection", ["<&-", "0>/dev/null"])
def test_a_stdin_that_cannot_be_read_is_an_input_error(redirection: str) -> None:
    process = redirected(redirection, command="STATUS")
    assert (process.returncode, process.stderr) == (1, b"")
    assert json.loads(process.stdout)["code"] == errors.IO_FAILURE


def test_a_stdin_that_does_not_block_and_is_empty_is_undecodable() -> None:
    ours, theirs = os.pipe2(os.O_NONBLOCK)
    with open(ours, "rb") as stdin, open(theirs, "wb"):
        process = subprocess.run(
            [sys.executable, "-m", "ipam"],
            env={"CNI_COMMAND": "STATUS"},
            stdin=stdin,
            capture_output=True,
            cwd=REPOSITORY,
        )
    assert (process.returncode, process.stderr) == (1, b"")
    assert json.loads(process.stdout)["code"] == errors.UNDECODABLE


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_a_stdout_that_cannot_be_written_fails_without_a_traceback(redirection: str) -> None:
    process = redirected(redirection)
    assert process.returncode != 0
    assert b"Traceback" not in process.stderr


def redirected(redirection: str, *, command: str = "VERSION", module: str = "ipam") -> Any:
    """Run a command with a shell's redirection."""
    shell = ("sh", "-c", f'exec "$0" -m {module} {redirection}', sys.executable)
    return execute(*shell, environment={"CNI_COMMAND": command})

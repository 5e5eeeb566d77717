# SPDX-License-Identifier: Apache-2.0
"""Building: which Pythons are taken for it, and that what was built is tried."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.executable import REPOSITORY

TOOLS = REPOSITORY / "tools"
# Stands for PyInstaller: "freezes" /bin/true and a shell script under both names.
PYINSTALLER = """#!/bin/sh
while [ "$1" != --distpath ]; do shift; done
mkdir -p "$2/sriov-cni"
cp /bin/true "$2/sriov-cni/libpython"
for name in sriov fixipam; do
    cp "{program}" "$2/sriov-cni/$name"
    chmod +x "$2/sriov-cni/$name"
done
"""
VERSION = """echo '{"supportedVersions":["0.1.0"]}'"""
REFUSAL = """echo '{"code":110}'; exit 1"""


def python(directory: Path, version: str) -> str:
    """Make a program that answers like a Python of a version."""
    program = directory / "python3"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    return str(program)


def checked(program: str) -> "subprocess.CompletedProcess[str]":
    command = [str(TOOLS / "check-python"), program]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_a_tested_python_is_taken(tmp_path: Path, version: str) -> None:
    done = checked(python(tmp_path, version))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("3.10", "is Python 3.10, which is not tested"),
        ("3.14", "is Python 3.14, of whose classes start-up cannot tell the fields (PEP 649)"),
        ("3.15", "is Python 3.15, which is not tested"),
    ],
)
def test_any_other_is_refused_with_the_reason(tmp_path: Path, version: str, reason: str) -> None:
    program = python(tmp_path, version)
    done = checked(program)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{program} {reason}; these are tested: 3.11, 3.12, 3.13.")


def test_what_is_no_python_is_refused() -> None:
    assert "/none does not run" in checked("/none").stderr


def built(directory: Path, version: str, add: str) -> "subprocess.CompletedProcess[str]":
    """Build executables that do this for VERSION and for ADD."""
    program, pyinstaller = directory / "program", directory / "pyinstaller"
    program.write_text(f"#!/bin/sh\n[ $CNI_COMMAND = ADD ] || {{ {version}; exit; }}\n{add}\n")
    pyinstaller.write_text(PYINSTALLER.format(program=program))
    pyinstaller.chmod(0o755)
    command = [str(TOOLS / "build"), str(pyinstaller), "dist"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_executables_that_answer_are_packed(tmp_path: Path) -> None:
    done = built(tmp_path, VERSION, REFUSAL)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "dist" / "sriov-cni.run").exists()


@pytest.mark.parametrize(
    ("version", "add", "said"),
    [
        ("echo 'Segmentation fault' >&2; exit 139", REFUSAL, "Segmentation fault"),
        ("echo '{}'", REFUSAL, "CNI_COMMAND=VERSION"),
        (VERSION, "echo 'Traceback: has no field' >&2; exit 1", "Traceback: has no field"),
        (VERSION, """echo '{"code":110}'""", "status 0, not 1"),
    ],
)
def test_executables_that_do_not_are_none(
    tmp_path: Path, version: str, add: str, said: str
) -> None:
    done = built(tmp_path, version, add)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "dist" / "sriov-cni.run").exists()

# SPDX-License-Identifier: Apache-2.0
"""The commands that CONTRIBUTING.md has for one file of tests run it."""

import subprocess

import pytest

from tests.documents import ROOT, commands_running


@pytest.mark.parametrize("command", [*commands_running("namespaces"), *commands_running("lab")])
def test_a_command_that_runs_one_file_of_tests_works(command: str) -> None:
    done = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout

# SPDX-License-Identifier: Apache-2.0
"""docs/kubernetes.md leads from bare cards to a pod with three interfaces, and back."""

import subprocess

import pytest

from tests.cluster import installation, objects
from tests.documents import blocks

DOCUMENT = "docs/kubernetes.md"


@pytest.mark.usefixtures("node", "unchanged")
def test_its_commands_work_one_after_the_other() -> None:
    printed = ""
    for script in blocks("sh", DOCUMENT):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("<image>", objects.IMAGE)],
            cwd=installation.PROJECT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        printed += done.stdout
    for expected in ("10.20.0.5/24", "66:d8:02:77:aa:05", "net1", "net2", "vlan 100"):
        assert expected in printed

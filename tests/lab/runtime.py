# SPDX-License-Identifier: Apache-2.0
"""The reference runtime, cnitool, with networks of its own and every plugin the lab has."""

import json
import os
import subprocess

from tests.plugin import DEBIANS, Document

BUILT = os.path.join(os.path.dirname(__file__), "..", "..", "dist", "sriov-cni.run")
TOOLS = os.path.join(os.path.dirname(BUILT), "sriov-node")
SRIOVCTL, AGENT = f"{TOOLS}/sriovctl", f"{TOOLS}/sriov-agent"
# Where the guest has the plugins: in its memory, and not on /run, which is mounted noexec.
INSTALLED = "/opt/cni/bin"


class Cnitool:
    """cnitool as it reads its networks from a directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def configure(self, network: Document) -> None:
        """Give it a network: a list of plugins."""
        with open(f"{self.directory}/{network['name']}.conflist", "w", encoding="utf-8") as file:
            json.dump(network, file)

    def __call__(
        self, command: str, network: str, netns: str, *, ifname: str = "net1", args: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a network and wait for its end."""
        programs = f"{os.environ['SRIOV_CNI_CACHE']}/bin"
        environment = os.environ | {
            "CNI_PATH": f"{INSTALLED}:{programs}:{DEBIANS}",
            "NETCONFPATH": self.directory,
            "CNI_IFNAME": ifname,
            "CNI_ARGS": args,
        }
        return subprocess.run(
            [f"{programs}/cnitool", command, network, netns],
            env=environment,
            capture_output=True,
            text=True,
        )

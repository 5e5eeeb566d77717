# SPDX-License-Identifier: Apache-2.0
"""The executable `fixipam`: one call of the IPAM plugin."""

import sys

from ipam import commands
from sriov_cni.cni import plugin
from sriov_cni.cni.errors import CniError

_COMMANDS: dict[str, plugin.Command] = {
    "ADD": commands.add,
    "DEL": commands.delete,
    "CHECK": commands.check,
    "GC": commands.collect,
    "STATUS": commands.status,
}


def main() -> None:
    """Serve the call and exit."""
    sys.exit(plugin.run(_COMMANDS.__getitem__, _explained))


def _explained(failure: Exception) -> CniError | None:
    return failure if isinstance(failure, CniError) else None


if __name__ == "__main__":
    main()

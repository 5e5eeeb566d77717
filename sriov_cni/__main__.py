# SPDX-License-Identifier: Apache-2.0
"""The executable `sriov`: one call of the CNI plugin."""

import sys

from sriov_cni.cni import plugin
from sriov_cni.cni.errors import CniError


def main() -> None:
    """Serve the call and exit."""
    sys.exit(plugin.run(_command, _as_cni_error))


def _command(name: str) -> plugin.Command:
    """Import a command's module only when it is called for: start-up is the product's speed."""
    match name:
        case "ADD":
            from sriov_cni.commands.add import add

            return add
        case "DEL":
            from sriov_cni.commands.delete import delete

            return delete
        case "CHECK":
            from sriov_cni.commands.check import check

            return check
        case "GC":
            from sriov_cni.commands.gc import gc

            return gc
        case _:
            from sriov_cni.commands.status import status

            return status


def _as_cni_error(failure: Exception) -> CniError | None:
    from sriov_cni.attachment.failure import as_cni_error

    return as_cni_error(failure)


if __name__ == "__main__":
    main()

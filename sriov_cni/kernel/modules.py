# SPDX-License-Identifier: Apache-2.0
"""Loading kernel modules, by modprobe(8): it knows aliases, dependencies and blacklists."""

import shutil
import subprocess

_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_PATIENCE = 60.0  # seconds; a driver may probe all its cards meanwhile


class ModuleError(Exception):
    """A kernel module could not be loaded; the text says which, and why."""


def load(name: str) -> None:
    """Load a module by its name or an alias; one that is loaded is no error. Raises ModuleError."""
    program = shutil.which("modprobe", path=_PATH)
    if program is None:
        raise ModuleError(f"loading module {name}: there is no modprobe in {_PATH}; install kmod")
    if not name:
        raise ModuleError("loading a device's driver: the device does not tell its modalias")
    try:
        ended = subprocess.run(  # noqa: S603
            [program, "--", name], capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModuleError(f"loading module {name}: {error}") from None
    if ended.returncode != 0:
        said = (
            " ".join(ended.stderr.decode(errors="replace").split())
            or f"modprobe ended with {ended.returncode}"
        )
        raise ModuleError(f"loading module {name}: {said}")

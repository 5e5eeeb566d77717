# SPDX-License-Identifier: Apache-2.0
"""What the figures were measured on and with."""

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from pathlib import Path

from bench.contenders import DEBIAN, EXECUTABLES, GO, ROOT


def describe(rounds: int, load: float, before: str) -> str:
    """Return the machine and all versions; `load` is its load average before the run.

    `before` is the earlier commit that is measured, too, if there is one.
    """
    versions = {name: importlib.metadata.version(name) for name in ("pyinstaller", "pyroute2")}
    debian = _output("dpkg-query", "-W", "-f", "${Version}", "containernetworking-plugins")
    cores = len(os.sched_getaffinity(0))
    parts = [
        f"{_cpu()}, {cores} CPUs, Linux {platform.release()}",
        f"CPython {platform.python_version()}, PyInstaller {versions['pyinstaller']}, "
        f"pyroute2 {versions['pyroute2']}",
        f"{GO} built with {_go_version(GO)}; Debian's containernetworking-plugins {debian} "
        f"with {_go_version(DEBIAN)}",
        f'file systems: {_file_system(str(ROOT))} for "state on disk"; tmpfs for all other state',
        f"{_commit()}, {time.strftime('%Y-%m-%d')}, {rounds} rounds",
    ]
    if before:
        parts.append(f"before: commit {before}")
    if load > cores / 4:
        parts.append(f"**the machine was not idle: load average {load:.1f} before the run**")
    return "\n".join(f"- {part}" for part in parts)


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.machine()


def _go_version(name: str) -> str:
    """Return the version of Go an executable was built with (debug/buildinfo of Go's library)."""
    data = EXECUTABLES[name].path.read_bytes()
    start = data.find(b"\xff Go buildinf:")
    found = re.match(rb"go[\w.]+", data[start + 33 : start + 65]) if start >= 0 else None
    return found[0].decode() if found else "an unknown Go"


def _file_system(path: str) -> str:
    return _output("stat", "-f", "-c", "%T", path)


def _commit() -> str:
    commit = _output("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    return f"commit {commit}" if commit else "no commit"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()

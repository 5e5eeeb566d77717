# SPDX-License-Identifier: Apache-2.0
"""Checks of configurations, of the executables, and of what manages network devices."""

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator

from sriov_node.device_plugin.resource import Selector
from sriov_node.device_plugin.selectors import Refusal, taker
from sriovctl.doctor.finding import Check, Finding, Node

_PATIENCE = 5.0  # seconds
_UNMANAGED = "/etc/NetworkManager/conf.d/90-sriov-vfs.conf"


def faults(node: Node) -> Iterator[Finding]:
    """Yield what is wrong or odd in configurations."""
    configuration = node.picture.configuration
    for fault in (*configuration.faults, *node.wanted.faults):
        yield Finding(str(fault), "correct it; the agent takes it over at once")
    for warning in dict.fromkeys((*configuration.warnings, *node.wanted.warnings)):
        yield Finding(warning, "correct it; what is said here counts until then")


def empty_resources(node: Node) -> Iterator[Finding]:
    """Yield resources that have no device, and what has taken theirs."""
    devices = node.picture.snapshot.devices
    for name, pool in node.picture.pools.items():
        if pool.offers:
            continue
        others = sorted(
            other
            for other, theirs in node.picture.pools.items()
            for device in theirs.offers
            if isinstance(taker(pool.resource, devices[device]), Selector)
        )
        if others:
            yield Finding(
                f"{name} has no device: {others[0]}, which stands before it, takes those that both "
                "select",
                "make the selectors exclude each other, by ranges of pfNames for example",
            )
        else:
            keys: Counter[str] = Counter()
            for device in node.picture.vfs():
                answer = taker(pool.resource, device)
                keys.update(answer.keys if isinstance(answer, Refusal) else ())
            counts = ", ".join(f"{count} by {key}" for key, count in keys.most_common())
            yield Finding(
                f"{name} has no device; of the VFs were refused: {counts or 'none, there is none'}",
                f"sriovctl explain {name} says which key refuses which device",
            )


def missing_plugin(node: Node) -> Iterator[Finding]:
    """Yield that the CNI plugin is not there, or does not start."""
    path = f"{node.around.cni_bin}/sriov"
    if not os.path.exists(path):
        yield Finding(f"{path} is missing, so no pod gets an interface", "sh sriov-cni.run")
        return
    try:
        ended = subprocess.run(  # noqa: S603
            [path],
            input='{"cniVersion": "1.1.0"}',
            env={"CNI_COMMAND": "VERSION"},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        json.loads(ended.stdout)["supportedVersions"]
    except (OSError, subprocess.TimeoutExpired, ValueError, LookupError, TypeError) as error:
        yield Finding(f"{path} does not start: {error}", "install it again: sh sriov-cni.run")


def managed_by_network_manager(node: Node) -> Iterator[Finding]:
    """Yield VFs that NetworkManager manages: it may configure them, or bring them down."""
    program = shutil.which("nmcli")
    if program is None:
        return
    try:
        ended = subprocess.run(  # noqa: S603
            [program, "-t", "-f", "DEVICE,STATE", "device"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    states = dict(line.rpartition(":")[::2] for line in ended.stdout.splitlines())
    managed = [
        (device, name)
        for device in node.picture.vfs()
        for name in device.netdevs
        if states.get(name, "unmanaged") != "unmanaged"
    ]
    if managed:
        drivers = sorted({f"driver:{device.driver}" for device, _ in managed})
        names = ", ".join(name for _, name in managed)
        content = f"[keyfile]\\nunmanaged-devices={';'.join(drivers)}\\n"
        yield Finding(
            f"NetworkManager manages the VFs {names}: it may give them addresses, and pods none",
            f"printf '{content}' >{_UNMANAGED}; nmcli general reload",
        )


CHECKS = (
    Check("configuration", "faults and odd things in configurations", faults),
    Check("resource", "resources without a device", empty_resources),
    Check("plugin", "a CNI plugin that is missing or does not start", missing_plugin),
    Check("network-manager", "VFs that NetworkManager manages", managed_by_network_manager),
)

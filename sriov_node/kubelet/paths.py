# SPDX-License-Identifier: Apache-2.0
"""Where kubelet has its sockets, below its own directory (--root-dir)."""

import hashlib

KUBELET = "/var/lib/kubelet"
LONGEST = 107  # bytes of a socket's path (unix(7)): 108 with the zero at the end


def device_plugins(kubelet: str = KUBELET) -> str:
    """Return the directory of kubelet.sock and of the plugins that register themselves."""
    return f"{kubelet}/device-plugins"


def plugins_registry(kubelet: str = KUBELET) -> str:
    """Return the directory in which kubelet finds plugins by itself."""
    return f"{kubelet}/plugins_registry"


def pod_resources(kubelet: str = KUBELET) -> str:
    """Return the socket at which kubelet tells which pod has what."""
    return f"{kubelet}/pod-resources/kubelet.sock"


def socket_name(resource: str) -> str:
    """Return the name of a resource's socket: short, and no other resource's."""
    return f"sriov-{hashlib.sha256(resource.encode()).hexdigest()[:8]}.sock"


def require_short(path: str) -> None:
    """Raise ValueError unless a socket can have this path."""
    length = len(path.encode())
    if length > LONGEST:
        message = f"{path} has {length} bytes, but the path of a socket at most {LONGEST}"
        raise ValueError(f"{message}: give kubelet a directory with a shorter path")

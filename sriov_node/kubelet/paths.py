# SPDX-License-Identifier: Apache-2.0
"""Where kubelet has its sockets, below its own directory (--root-dir)."""

import hashlib
import secrets

KUBELET = "/var/lib/kubelet"
_INSTANCE = secrets.token_hex(3)  # of this process
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


def checkpoint(kubelet: str = KUBELET) -> str:
    """Return the file in which kubelet writes down what it gave to whom."""
    return f"{device_plugins(kubelet)}/kubelet_internal_checkpoint"


def sockets(kubelet: str = KUBELET, *, watched: bool) -> str:
    """Return the directory for plugins' sockets; `watched`: in which kubelet finds them."""
    return plugins_registry(kubelet) if watched else device_plugins(kubelet)


def socket_name(resource: str) -> str:
    """Return the name of this process's socket for a resource: short, and nobody else's.

    Kubelet can serve itself from several sockets of one resource, and refuses one that it is
    connected to (PluginConnected() in pkg/kubelet/cm/devicemanager/manager.go): so an agent and its
    successor need two, for kubelet to keep the list from one to the other.
    """
    return f"sriov-{hashlib.sha256(resource.encode()).hexdigest()[:8]}-{_INSTANCE}.sock"


def is_socket_name(name: str) -> bool:
    """Tell whether it is the name of an agent's socket, or that of one not in its place yet."""
    return name.lstrip(".").startswith("sriov-")


def require_short(path: str) -> None:
    """Raise ValueError unless a socket can have this path."""
    length = len(path.encode())
    if length > LONGEST:
        message = f"{path} has {length} bytes, but the path of a socket at most {LONGEST}"
        raise ValueError(f"{message}: give kubelet a directory with a shorter path")

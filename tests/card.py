# SPDX-License-Identifier: Apache-2.0
"""The lab's cards as seen by tests inside the guest: PFs eth0, eth1, ... of the emulated 82576."""

import os
import time
from typing import Any

from tests.node import SETTABLE_FLAGS, SETTINGS
from tests.plugin import run, run_json

PFS = tuple(f"eth{number}" for number in range(int(os.environ.get("LAB_PFS", "2"))))
VFS = 7
STATE_DIRECTORIES = ("/var/lib/cni/sriov", "/var/lib/cni/fixipam")


def enable_vfs(pf: str, count: int) -> None:
    """Have a PF, brought up, give `count` VFs."""
    run("ip", "link", "set", pf, "up")
    with open(f"/sys/class/net/{pf}/device/sriov_numvfs", "w", encoding="ascii") as file:
        file.write(str(count))
    deadline = time.monotonic() + 30
    while len(vf_names(pf)) < count:
        assert time.monotonic() < deadline, f"{pf} does not give {count} VFs"
        time.sleep(0.1)


def vf_names(pf: str) -> list[str]:
    """Return the names of a PF's VFs that are on the host."""
    return [name for vf in range(VFS) for name in netdevs(pf, vf)]


def netdevs(pf: str, vf: int) -> list[str]:
    """Return the name of a VF on the host; none if it is elsewhere."""
    directory = f"/sys/class/net/{pf}/device/virtfn{vf}/net"
    return os.listdir(directory) if os.path.isdir(directory) else []


def vf_address(pf: str, vf: int) -> str:
    """Return a VF's PCI address."""
    return os.path.basename(os.readlink(f"/sys/class/net/{pf}/device/virtfn{vf}"))


def pci_address(pf: str) -> str:
    """Return a PF's PCI address."""
    return os.path.basename(os.readlink(f"/sys/class/net/{pf}/device"))


def bind(address: str, driver: str) -> None:
    """Bind a PCI device to another driver; an empty name: to the one that knows it by itself."""
    device = f"/sys/bus/pci/devices/{address}"
    for path, text in (
        (f"{device}/driver/unbind", address),
        (f"{device}/driver_override", driver or "\n"),
        ("/sys/bus/pci/drivers_probe", address),
    ):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)


def vf_info(pf: str, vf: int) -> Any:
    """Return what the PF's driver reports of a VF."""
    (link,) = run_json("ip", "-j", "-d", "link", "show", "dev", pf)
    return link["vfinfo_list"][vf]


def administrative_mac(pf: str, vf: int) -> str:
    """Return the MAC the PF has set for a VF."""
    return str(vf_info(pf, vf)["address"])


def vlan(pf: str, vf: int) -> int:
    """Return the VLAN the PF has set for a VF, 0 for none."""
    return int(vf_info(pf, vf)["vlan_list"][0].get("vlan", 0))


def pod_link(pod: str, name: str = "net1") -> Any:
    """Return what ip says of a pod's interface."""
    (link,) = run_json("ip", "-j", "-d", "-n", pod, "addr", "show", "dev", name)
    return link


def wait_for_carrier(pod: str, patience: float) -> None:
    """Wait until a pod's interface has carrier, which takes a VF 2 to 8 s."""
    deadline = time.monotonic() + patience
    while "LOWER_UP" not in pod_link(pod)["flags"]:
        assert time.monotonic() < deadline, f"{pod} gets no carrier"
        time.sleep(0.1)


def files(directory: str) -> list[str]:
    """Return the names of the files below a directory that are an attachment's."""
    others = ("lock", "released", "inventory")  # fixipam's order is one, and the agent's memory
    found = (names for _, _, names in os.walk(directory))
    return sorted(n for names in found for n in names if n not in others)


def state() -> dict[str, object]:
    """Return all that an ADD may change on the host: devices, VF tables, records, leases."""
    links = run_json("ip", "-j", "-d", "link", "show")
    return {
        "devices": {
            link["ifname"]: (
                link["address"],
                link["mtu"],
                "UP" in link["flags"],
                sorted(link.get("altnames", [])),
                link.get("parentdev"),
            )
            for link in links
        },
        "settings": {
            link["ifname"]: (
                sorted(set(link["flags"]) & SETTABLE_FLAGS),
                [link.get(setting) for setting in SETTINGS],
            )
            for link in links
        },
        "VFs": {link["ifname"]: link.get("vfinfo_list") for link in links},
        "files": {directory: files(directory) for directory in STATE_DIRECTORIES},
    }


def add_pod(name: str) -> str:
    """Make a pod's network namespace and return its path."""
    run("ip", "netns", "add", name)
    return f"/run/netns/{name}"


def reaches(pod: str, address: str, patience: float) -> bool:
    """Tell whether a pod gets an answer from an address."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        said = run("ip", "netns", "exec", pod, "ping", "-c1", "-W1", address, check=False)
        if " 0% packet loss" in said:
            return True
    return False

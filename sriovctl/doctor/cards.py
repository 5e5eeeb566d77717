# SPDX-License-Identifier: Apache-2.0
"""Checks of cards, their VFs and their drivers."""

from collections import Counter
from collections.abc import Iterator

from sriov_cni.kernel import vfs
from sriov_node.preparation.matching import match
from sriov_node.preparation.plan import plan
from sriovctl.doctor.finding import Check, Finding, Node
from sriovctl.picture import name_of_pf

_IOMMU = (
    "enable VT-d or AMD-Vi in the firmware, add intel_iommu=on iommu=pt to the kernel's command "
    'line, and reboot; in a virtual machine without one, "noIommu": true in the entry of node.json'
)


def no_sriov_in_firmware(node: Node) -> Iterator[Finding]:
    """Yield PFs that can have no VF."""
    for pf in node.facts.pfs.values():
        if pf.total_vfs == 0:
            yield Finding(
                f"{pf.title} can have no VF: SR-IOV is switched off in its firmware",
                "switch SR-IOV on in the machine's setup, or with the vendor's tool "
                "(mlxconfig -d ADDRESS set SRIOV_EN=1 NUM_OF_VFS=8), and reboot",
            )


def named_pf_missing(node: Node) -> Iterator[Finding]:
    """Yield PFs that the node's file names and the node does not have."""
    matched = match(node.wanted.functions, node.facts.pfs.values())
    for fault in matched.faults:
        yield Finding(fault, "correct match in that entry; `sriovctl pfs` lists the PFs")


def not_as_wanted(node: Node) -> Iterator[Finding]:
    """Yield what differs from the node's file."""
    found = plan(node.wanted, node.facts)
    if found.steps:
        yield Finding(
            f"{len(found.steps)} steps are to be taken for the node to be as its files want it",
            "sriovctl node apply",
        )
    for refusal in found.refusals:
        uses = "; it ".join(refusal.uses)
        yield Finding(
            f"{refusal.address} is to {refusal.step}, and is in use: it {uses}",
            "delete the pod that has it, or wait for its end: sriovctl node apply --wait 600",
        )


def no_iommu(node: Node) -> Iterator[Finding]:
    """Yield VFs for vfio on a machine without IOMMU."""
    if node.facts.has_iommu or node.facts.no_iommu:
        return
    bound = [d.id for d in node.picture.vfs() if (d.driver or "").startswith("vfio")]
    wanted = [
        function.place
        for function in node.wanted.functions
        if any(driver.startswith("vfio") for _, driver in function.drivers)
    ]
    if bound or wanted:
        who = ", ".join((*bound, *wanted))
        yield Finding(f"there is no IOMMU, and vfio needs one for {who}", _IOMMU)


def pf_down(node: Node) -> Iterator[Finding]:
    """Yield PFs with VFs that are down."""
    for pf in node.facts.pfs.values():
        if pf.vfs and pf.is_up is False:
            yield Finding(
                f"{pf.title} is down, so its {len(pf.vfs)} VFs have no carrier",
                f"ip link set dev {pf.names[0]} up",
            )


def no_carrier(node: Node) -> Iterator[Finding]:
    """Yield PFs with VFs that are up and have no carrier."""
    for device in node.picture.pfs():
        pf = node.facts.pfs.get(device.id)
        if pf is not None and pf.vfs and pf.is_up and device.carrier is False:
            yield Finding(
                f"{pf.title} has no carrier, so its VFs reach nobody",
                "look at cable and switch: ethtool " + pf.names[0],
            )


def no_driver(node: Node) -> Iterator[Finding]:
    """Yield PFs and VFs that no driver has."""
    for pf in node.facts.pfs.values():
        if pf.driver is None:
            yield Finding(f"{pf.title} is bound to no driver", _probe(pf.address))
        for vf in pf.vfs:
            if vf.driver is None:
                yield Finding(
                    f"VF {vf.number} of {pf.title} ({vf.address}) is bound to no driver",
                    _probe(vf.address) if pf.autoprobe or vf.override else _autoprobe(pf.address),
                )


def missing_module(node: Node) -> Iterator[Finding]:
    """Yield drivers that are wanted, and that the kernel does not have."""
    wanted = {driver for f in node.wanted.functions for _, driver in f.drivers}
    for driver in sorted(wanted - {"kernel"} - node.facts.drivers):
        yield Finding(f"driver {driver} is wanted, and is not loaded", f"modprobe {driver}")
    vhost = any(s.need_vhost_net for p in node.picture.pools.values() for s in p.resource.selectors)
    if vhost and "vhost_net" not in node.facts.modules:
        yield Finding("a resource needs vhost_net, and it is not loaded", "modprobe vhost_net")


def duplicate_macs(node: Node) -> Iterator[Finding]:
    """Yield VFs that have one MAC, as far as PFs tell."""
    for pf in node.facts.pfs.values():
        macs: Counter[str] = Counter(pf.macs)
        mine = {vf.number: node.picture.seen.get((pf.address, vf.number)) for vf in pf.vfs}
        known = {n: seen.mac for n, seen in mine.items() if seen is not None and seen.mac}
        macs.update(mac for mac in known.values() if mac != vfs.NO_MAC)
        for number, mac in known.items():
            if macs[mac] > 1:
                yield Finding(
                    f"VF {number} of {pf.title} has the MAC {mac}, and so has another of its card: "
                    "one of them hears nothing",
                    f"ip link set dev {pf.names[0]} vf {number} mac 02:00:00:00:00:{number:02x}",
                )


def vf_used_by_host(node: Node) -> Iterator[Finding]:
    """Yield VFs that the host itself uses."""
    for device in node.picture.vfs():
        if device.use.state.value == "host":
            netdev = device.netdevs[0] if device.netdevs else device.id
            yield Finding(
                f"VF {device.number} of {name_of_pf(device)} ({device.id}) {device.use.reason}, "
                "so no pod gets it",
                f"ip address flush dev {netdev}",
            )


def _probe(address: str) -> str:
    return f"echo {address} >/sys/bus/pci/drivers_probe"


def _autoprobe(pf: str) -> str:
    return f"echo 1 >/sys/bus/pci/devices/{pf}/sriov_drivers_autoprobe; sriovctl node apply"


CHECKS = (
    Check("firmware", "SR-IOV switched off in a card's firmware", no_sriov_in_firmware),
    Check("missing-pf", "PFs that node.json names and that are not there", named_pf_missing),
    Check("preparation", "a node that is not as its files want it", not_as_wanted),
    Check("iommu", "VFs for vfio without an IOMMU", no_iommu),
    Check("pf-down", "PFs with VFs that are down", pf_down),
    Check("carrier", "PFs with VFs that have no carrier", no_carrier),
    Check("driver", "PFs and VFs that no driver has", no_driver),
    Check("module", "kernel modules that are missing", missing_module),
    Check("mac", "VFs of one card with the same MAC", duplicate_macs),
    Check("host-use", "VFs that the host uses itself", vf_used_by_host),
)

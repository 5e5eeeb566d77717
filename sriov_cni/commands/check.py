# SPDX-License-Identifier: Apache-2.0
"""CHECK: is the attachment still what ADD made (specification, section 2, "CHECK")."""

from sriov_cni.attachment import configuration, ipam_client
from sriov_cni.attachment.configuration import Configuration
from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni import errors, log
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Result, previous_result
from sriov_cni.device import handover, vf
from sriov_cni.device.pci import slot_of
from sriov_cni.device.snapshot import Device
from sriov_cni.kernel import netns
from sriov_cni.kernel.netlink import Socket
from sriov_cni.pod import interface


def check(call: Call) -> None:
    """Compare the kernel with record, configuration and prevResult; name every difference."""
    call = configuration.respelt(call)
    wanted = configuration.parse(call)
    previous = previous_result(call.config)
    if previous is None:
        raise call.fields.error_for("prevResult", "the result of the ADD to check")
    records = AttachmentRecords.existing(wanted.state_directory)
    record = records.find(call.owner) if records is not None else None
    if record is None:
        differences = ["there is no record of it: it was never added, or was deleted"]
    else:
        log.note(*record.function)
        differences = _differences(wanted, previous, record, call.netns)
    if differences:
        raise CniError(
            errors.NOT_AS_ADDED,
            f"{call.owner.ifname} of container {call.owner.container_id} is not as added",
            "; ".join(differences),
        )
    ipam_client.check(call)


def _differences(wanted: Configuration, previous: Result, record: Record, path: str) -> list[str]:
    """Return a phrase for each difference; `path` leads to the pod now, the ADD's may not."""
    found = []
    slot = slot_of(record.function)
    now = vf.attributes(Socket(), slot) if slot is not None else None
    if now is not None:
        found += [
            f"{record.function}: {difference}"
            for difference in vf.attribute_differences(now, wanted.attributes)
        ]
    device = record.before.device
    if device is None:
        return found  # nothing of it is in the pod
    try:
        with netns.pod_at(path) as pod:
            return found + _pod_differences(previous, record, device, pod.socket)
    except netns.NotANamespaceError as error:
        return [*found, str(error)]


def _pod_differences(previous: Result, record: Record, device: Device, pod: Socket) -> list[str]:
    ifname, address = record.owner.ifname, record.function.address
    link = handover.find_in_pod(pod, address, device, ifname)
    if link is None:
        return [f"{record.function} ({address}) is not in the pod"]
    found = []
    if link.name != ifname:
        found.append(f"the interface is called {link.name}, not {ifname}")
    if not link.up:
        found.append(f"{link.name} is down")
    ours = [i for i in previous.interfaces if i.name == ifname and i.sandbox]
    if not ours:
        found.append(f"prevResult lists no interface {ifname}")
    for expected in ours[:1]:
        if expected.mac and expected.mac.lower() != link.mac:
            found.append(f"its MAC is {link.mac}, not {expected.mac}")
        if expected.mtu is not None and expected.mtu != link.mtu:
            found.append(f"its MTU is {link.mtu}, not {expected.mtu}")
    return found + interface.differences(pod, link, _ours_only(previous, ifname))


def _ours_only(previous: Result, ifname: str) -> Result:
    """Return the previous result without the addresses of other plugins' interfaces."""
    names = [i.name for i in previous.interfaces]
    ips = tuple(
        ip
        for ip in previous.ips
        if ip.interface is None or (ip.interface < len(names) and names[ip.interface] == ifname)
    )
    return previous._replace(ips=ips)

# SPDX-License-Identifier: Apache-2.0
"""CHECK: is the attachment still what ADD made (specification, section 2, "CHECK")."""

from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.result import Result, previous_result
from sriov_cni.domain import addressing, configuration, interface, vf
from sriov_cni.domain.configuration import Configuration
from sriov_cni.domain.function import administrator
from sriov_cni.domain.record import Record
from sriov_cni.domain.registry import Registry
from sriov_cni.kernel import netns
from sriov_cni.kernel.netlink import Socket


def check(call: Call) -> None:
    """Compare the kernel with record, configuration and prevResult; name every difference."""
    wanted = configuration.parse(call)
    previous = previous_result(call.config)
    if previous is None:
        raise call.fields.fault("prevResult", "the result of the ADD to check")
    registry = Registry.existing(wanted.state_directory)
    record = registry.find(call.attachment) if registry is not None else None
    if record is None:
        differences = ["there is no record of it: it was never added, or was deleted"]
    else:
        record = record._replace(attachment=call.attachment)  # the ADD's path may lead elsewhere
        differences = _differences(wanted, previous, record)
    if differences:
        raise CniError(
            errors.NOT_AS_ADDED,
            f"{call.attachment.ifname} of container {call.attachment.container_id} is not as added",
            "; ".join(differences),
        )
    addressing.check(call)


def _differences(wanted: Configuration, previous: Result, record: Record) -> list[str]:
    found = []
    admin = administrator(record.function)
    now = vf.attributes(Socket(), admin) if admin is not None else None
    if now is not None:
        found += [
            f"{record.function}: {difference}"
            for difference in vf.attribute_differences(now, wanted.attributes)
        ]
    if record.before.device is None:
        return found  # nothing of it is in the pod
    try:
        with netns.pod_at(record.attachment.netns) as pod:
            return found + _pod_differences(previous, record, pod.socket)
    except netns.NotANamespaceError as error:
        return [*found, str(error)]


def _pod_differences(previous: Result, record: Record, pod: Socket) -> list[str]:
    ifname = record.attachment.ifname
    link = vf.find_in_pod(record, pod)
    if link is None:
        return [f"{record.function} ({record.function.address}) is not in the pod"]
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

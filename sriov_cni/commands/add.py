# SPDX-License-Identifier: Apache-2.0
"""ADD: give a container's namespace a VF (specification, section 2, "ADD").

The way back is imported with the rest, before the first change: it must work even if the process
cannot open another file.
"""

from sriov_cni.attachment import configuration, ipam_client
from sriov_cni.attachment.configuration import Configuration
from sriov_cni.attachment.failure import as_cni_error
from sriov_cni.attachment.ipam_client import Ipam
from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.attachment.selection import select
from sriov_cni.attachment.teardown import Leftover, take_down
from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError, DelegateError
from sriov_cni.cni.result import Dns, Interface, Result, previous_result
from sriov_cni.device import handover, snapshot, vf
from sriov_cni.device.pci import OnHost
from sriov_cni.kernel import links, netns
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.netns import Pod
from sriov_cni.pod import announcement, interface


def add(call: Call) -> Result:
    """Validate, select, record, apply, move, configure; on any failure undo it all."""
    call = configuration.respelt(call)
    wanted = configuration.parse(call)
    previous = previous_result(call.config) or Result()
    ipam = ipam_client.plan(call)
    try:
        with netns.pod_at(call.netns) as pod:
            made, addresses = _attach(call, wanted, ipam, pod)
    except netns.NotANamespaceError as error:
        raise CniError(errors.INVALID_ENVIRONMENT, "invalid CNI_NETNS", str(error)) from None
    return _result(previous, made, addresses, wanted.dns)


def _attach(call: Call, wanted: Configuration, ipam: Ipam, pod: Pod) -> tuple[Interface, Result]:
    """Give the pod its interface; return that and IPAM's result."""
    ifname = call.owner.ifname
    if links.find(pod.socket, ifname) is not None:
        raise CniError(
            errors.DEVICE_IN_USE,
            f"interface {ifname} exists in the pod",
            f"{call.netns} has it already: ask for another CNI_IFNAME",
        )
    host = Socket()
    records = AttachmentRecords(wanted.state_directory, create=True)
    _clear_leftover(records, host, call)
    selected = select(records, host, call, wanted)
    record = _record(call, records, host, selected, ipam)
    records.write(record)
    try:
        vf.apply(host, selected, record.before.attributes, wanted.attributes, wanted.mtu)
        if selected.link is None:
            link = None
            made = Interface(ifname, vf.administrative_mac(host, selected.slot), call.netns)
        else:
            link = handover.hand_over(host, selected.link, pod, ifname)
            made = Interface(ifname, link.mac, call.netns, link.mtu)
        addresses = ipam_client.add(call, ipam)
        if not record.granted:
            record = record._replace(granted=True)
            records.write(record)
        if link is not None:
            interface.configure(pod, link, addresses)
            announcement.announce(call.netns, link, addresses.ips)
    except Exception as failure:
        left = take_down(records, host, record, call)
        error = as_cni_error(failure)
        if error is None or (isinstance(error, DelegateError) and not any(left)):
            raise
        raise error.with_details(_undone(left)) from failure
    return made._replace(pci_id=record.function.address), addresses


def _undone(left: Leftover) -> str:
    """Say how far a failed ADD was undone."""
    told = [f"not undone, DEL will try again: {problem}" for problem in left.problems]
    told += [f"not undone, the VF's next ADD will try again: {words}" for words in left.refused]
    return "; ".join(told) or "everything done was undone"


def _result(previous: Result, made: Interface, addresses: Result, dns: Dns) -> Result:
    """Return the results of plugins earlier in a chain with this one's added."""
    place = len(previous.interfaces)
    given = (dns, addresses.dns, previous.dns)
    return Result(
        interfaces=(*previous.interfaces, made),
        ips=(*previous.ips, *(ip._replace(interface=place) for ip in addresses.ips)),
        routes=(*previous.routes, *addresses.routes),
        dns=next((one for one in given if one != Dns()), Dns()),
    )


def _clear_leftover(records: AttachmentRecords, host: Socket, call: Call) -> None:
    """Take down the leavings of an earlier ADD of this attachment: it was killed, or its pod."""
    record = records.find(call.owner)
    if record is None:
        return
    if records.claims(record):
        records.lock(record.function)
    if problems := take_down(records, host, record, call).problems:
        raise CniError(
            errors.TRY_AGAIN_LATER,
            f"an earlier {call.owner.ifname} of this container could not be taken down",
            "; ".join(str(problem) for problem in problems),
        )
    records.unlock(record.function.address)


def _record(
    call: Call, records: AttachmentRecords, host: Socket, selected: OnHost, ipam: Ipam
) -> Record:
    return Record(
        owner=call.owner,
        netns=call.netns,
        network=call.network,
        boot=records.boot,
        function=selected.function,
        before=snapshot.take(host, selected),
        arguments=call.arguments,
        config={key: value for key, value in call.config.items() if key != "prevResult"},
        granted=not ipam.is_executed,
    )

# SPDX-License-Identifier: Apache-2.0
"""ADD: give a container's namespace a VF (specification, section 2, "ADD")."""

from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError, DelegateError
from sriov_cni.cni.result import Dns, Interface, Result, previous_result
from sriov_cni.domain import addressing, announcement, configuration, interface, vf
from sriov_cni.domain.configuration import Configuration
from sriov_cni.domain.failure import explained
from sriov_cni.domain.record import Record
from sriov_cni.domain.registry import Registry
from sriov_cni.domain.selection import Selected, select
from sriov_cni.domain.teardown import Leftover, lock, take_down
from sriov_cni.kernel import links, netns
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.netns import Pod


def add(call: Call) -> Result:
    """Validate, select, record, apply, move, configure; on any failure undo it all."""
    wanted = configuration.parse(call)
    previous = previous_result(call.config) or Result()
    addressing.validate(call)
    try:
        with netns.pod_at(call.attachment.netns) as pod:
            made, ipam = _attach(call, wanted, pod)
    except netns.NotANamespaceError as error:
        raise CniError(errors.INVALID_ENVIRONMENT, "invalid CNI_NETNS", str(error)) from None
    return _result(previous, made, ipam, wanted.dns)


def _attach(call: Call, wanted: Configuration, pod: Pod) -> tuple[Interface, Result]:
    """Give the pod its interface; return that and IPAM's result."""
    ifname = call.attachment.ifname
    if links.find(pod.socket, ifname) is not None:
        raise CniError(
            errors.DEVICE_IN_USE,
            f"interface {ifname} exists in the pod",
            f"{call.attachment.netns} has it already: ask for another CNI_IFNAME",
        )
    host = Socket()
    registry = Registry(wanted.state_directory, create=True)
    _clear_leftover(registry, host, call)
    selected = select(registry, host, call, wanted)
    record = _record(call, registry, host, selected)
    registry.write(record)
    try:
        vf.apply(host, record, selected.link, wanted.attributes, wanted.mtu)
        if selected.link is None:
            link = None
            made = Interface(ifname, vf.administrative_mac(host, record), call.attachment.netns)
        else:
            link = vf.hand_over(host, record, selected.link, pod)
            made = Interface(ifname, link.mac, call.attachment.netns, link.mtu)
        ipam = addressing.add(call)
        if not record.granted:
            record = record._replace(granted=True)
            registry.write(record)
        if link is not None:
            interface.configure(pod, link, ipam)
            announcement.announce(call.attachment.netns, link, ipam.ips)
    except Exception as failure:
        left = take_down(registry, host, record, call)
        error = explained(failure)
        if error is None or (isinstance(error, DelegateError) and left == Leftover([], [])):
            raise
        raise error.with_details(_undone(left)) from failure
    return made._replace(pci_id=record.function.address), ipam


def _undone(left: Leftover) -> str:
    """Say how far a failed ADD was undone."""
    told = [f"not undone, DEL will try again: {problem}" for problem in left.problems]
    told += [f"not undone, the VF's next ADD will try again: {words}" for words in left.refused]
    return "; ".join(told) or "everything done was undone"


def _result(previous: Result, made: Interface, ipam: Result, dns: Dns) -> Result:
    """Return the results of plugins earlier in a chain with this one's added."""
    place = len(previous.interfaces)
    given = (dns, ipam.dns, previous.dns)
    return Result(
        interfaces=(*previous.interfaces, made),
        ips=(*previous.ips, *(ip._replace(interface=place) for ip in ipam.ips)),
        routes=(*previous.routes, *ipam.routes),
        dns=next((one for one in given if one != Dns()), Dns()),
    )


def _clear_leftover(registry: Registry, host: Socket, call: Call) -> None:
    """Take down what an earlier ADD of this attachment left when it, or its pod, was killed."""
    record = registry.find(call.attachment)
    if record is None:
        return
    if registry.claims(record):
        lock(registry, record.function)
    if problems := take_down(registry, host, record, call).problems:
        raise CniError(
            errors.TRY_AGAIN_LATER,
            f"an earlier {call.attachment.ifname} of this container could not be taken down",
            "; ".join(str(problem) for problem in problems),
        )
    registry.unlock(record.function.address)


def _record(call: Call, registry: Registry, host: Socket, selected: Selected) -> Record:
    return Record(
        attachment=call.attachment,
        network=call.network,
        boot=registry.boot,
        function=selected.function,
        before=vf.take_snapshot(host, selected.function, selected.link),
        arguments=call.arguments,
        config={key: value for key, value in call.config.items() if key != "prevResult"},
        granted=not addressing.is_executed(call),
    )

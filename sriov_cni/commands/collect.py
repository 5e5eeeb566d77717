# SPDX-License-Identifier: Apache-2.0
"""GC: take down what the runtime no longer knows (specification, section 2, "GC")."""

from sriov_cni.cni import errors
from sriov_cni.cni.call import Call
from sriov_cni.cni.errors import CniError
from sriov_cni.commands.delete import delete_recorded
from sriov_cni.domain import addressing, configuration, predecessor
from sriov_cni.domain.registry import Registry
from sriov_cni.kernel.netlink import KernelError


def collect(call: Call) -> None:
    """Take down every attachment of this network not on the runtime's list, as DEL would.

    Goes on after failures and reports them together.
    """
    configuration.configure_log(call.fields)
    valid = call.valid_attachments()
    registry = Registry.existing(configuration.state_directory(call.fields))
    problems = []
    if registry is not None:
        unknown = [a for a in registry.attachments_of(call.network) if a[:2] not in valid]
        unknown += predecessor.unknown_attachments(registry, call.network, valid)
        for attachment in unknown:
            try:
                delete_recorded(registry, attachment, call)
            except (CniError, KernelError) as error:
                problems.append(f"{attachment.container_id}/{attachment.ifname}: {error}")
        registry.discard_unfinished(lambda attachment: attachment[:2] not in valid)
    try:
        addressing.collect(call)
    except CniError as error:
        problems.append(f"IPAM GC: {error}")
    if problems:
        raise CniError(
            errors.REFUSED_BY_KERNEL,
            f"{len(problems)} leftovers of network {call.network} could not be removed",
            "; ".join(problems),
        )

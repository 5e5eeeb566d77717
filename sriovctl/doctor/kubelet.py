# SPDX-License-Identifier: Apache-2.0
"""Checks of kubelet, of the agent, and of other device plugins."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress

from grpclib.client import Channel

from sriov_node.inventory.device import State
from sriov_node.kubelet import paths
from sriov_node.kubelet.api import deviceplugin_pb2 as api
from sriov_node.kubelet.api.deviceplugin_grpc import DevicePluginStub
from sriov_node.kubelet.calls import FAILURES
from sriovctl import picture
from sriovctl.doctor.finding import Check, Finding, Node

_PATIENCE = 1.0  # seconds for another plugin's list
_KUBELETS = "kubelet.sock"


def no_agent(node: Node) -> Iterator[Finding]:
    """Yield that nobody serves the resources that are configured."""
    if node.picture.pools and not picture.serving_sockets(node.places):
        yield Finding(
            "no agent serves kubelet, so pods get no device",
            "systemctl start sriov-agent; in a cluster, look at the agent's pod",
        )


def unregistered(node: Node) -> Iterator[Finding]:
    """Yield resources that an agent serves and kubelet does not know of."""
    for name in picture.unregistered(node.places, node.picture):
        yield Finding(
            f"an agent serves {name}, and kubelet does not know of it: it refuses the "
            "registration, as the agent's log says, or the agent is of another node directory",
            "systemctl restart sriov-agent; in a cluster, delete the agent's pod",
        )


def silent_kubelet(node: Node) -> Iterator[Finding]:
    """Yield that kubelet does not answer."""
    socket = paths.pod_resources(node.places.kubelet_dir)
    if node.picture.holders is None and (node.picture.pools or os.path.exists(socket)):
        yield Finding(
            f"kubelet does not answer at {socket}: which pod has what is unknown",
            "systemctl start kubelet; is its --root-dir another one (--kubelet-dir)?",
        )


def allocated_otherwise(node: Node) -> Iterator[Finding]:
    """Yield devices of which kubelet and the records tell differently."""
    holders = node.picture.holders or {}
    for device_id, holder in holders.items():
        device = node.picture.snapshot.devices.get(device_id)
        who = f"container {holder.container} of pod {holder.namespace}/{holder.pod}"
        if device is None:
            if holder.resource in node.picture.pools:
                yield Finding(
                    f"kubelet gave {device_id} to {who}, and there is no such device",
                    f"kubectl delete pod -n {holder.namespace} {holder.pod}",
                )
        elif device.use.state is State.HOST:
            yield Finding(
                f"kubelet gave {device_id} to {who}, but it {device.use.reason}",
                f"kubectl delete pod -n {holder.namespace} {holder.pod}",
            )


def other_plugin(node: Node) -> Iterator[Finding]:
    """Yield other device plugins that announce devices of ours."""
    ours = {device for pool in node.picture.pools.values() for device in pool.offers}
    directory = paths.device_plugins(node.places.kubelet_dir)
    names = []
    with suppress(OSError):
        names = sorted(os.listdir(directory))
    for name in names:
        path = f"{directory}/{name}"
        if name.endswith(".sock") and name != _KUBELETS and not paths.is_socket_name(name):
            both = sorted(ours & asyncio.run(_announced(path)))
            if both:
                shown = ", ".join(both[:3]) + (" and others" if len(both) > 3 else "")
                yield Finding(
                    f"another device plugin announces {shown} at {path}, too: two pods could "
                    "get one device",
                    "remove that plugin (kubectl delete daemonset), or the devices from one of the "
                    "two configurations",
                )


async def _announced(path: str) -> frozenset[str]:
    """Return the devices that a device plugin announces; none if it does not answer in time."""
    channel = Channel(path=path)
    try:
        async with asyncio.timeout(_PATIENCE):
            async with DevicePluginStub(channel).ListAndWatch.open() as stream:
                await stream.send_message(api.Empty(), end=True)
                answer = await stream.recv_message()
                await stream.cancel()
                return frozenset(each.ID for each in answer.devices) if answer else frozenset()
    except FAILURES:
        return frozenset()
    finally:
        channel.close()


CHECKS = (
    Check("agent", "resources that no agent serves", no_agent),
    Check("registration", "resources that kubelet does not know of", unregistered),
    Check("kubelet", "a kubelet that does not answer", silent_kubelet),
    Check(
        "allocation", "devices that kubelet gave away and that are not there", allocated_otherwise
    ),
    Check("other-plugin", "another device plugin with the same devices", other_plugin),
)

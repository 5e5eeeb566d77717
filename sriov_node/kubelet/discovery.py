# SPDX-License-Identifier: Apache-2.0
"""The answer to kubelet when it finds a plugin's socket in plugins_registry by itself."""

import logging

from grpclib.server import Stream

from sriov_node.kubelet.api import pluginregistration_pb2 as api
from sriov_node.kubelet.api.pluginregistration_grpc import RegistrationBase
from sriov_node.kubelet.calls import received

_log = logging.getLogger(__name__)


class Discovery(RegistrationBase):
    """Tells kubelet which resource is served at a socket, and hears what became of it."""

    def __init__(self, resource: str, path: str) -> None:
        self._resource = resource
        self._path = path

    async def GetInfo(  # noqa: N802
        self, stream: Stream[api.InfoRequest, api.PluginInfo]
    ) -> None:
        """Answer who serves here: kubelet waits for a second."""
        await received(stream)
        await stream.send_message(
            api.PluginInfo(
                type="DevicePlugin",
                name=self._resource,
                endpoint=self._path,
                supported_versions=["v1beta1"],
            )
        )

    async def NotifyRegistrationStatus(  # noqa: N802
        self, stream: Stream[api.RegistrationStatus, api.RegistrationStatusResponse]
    ) -> None:
        """Hear whether kubelet has taken the plugin."""
        status = await received(stream)
        if not status.plugin_registered:
            _log.error("%s: kubelet refuses the plugin: %s", self._resource, status.error)
        await stream.send_message(api.RegistrationStatusResponse())

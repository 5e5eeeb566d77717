# SPDX-License-Identifier: Apache-2.0
"""Pods as the API server and containerd know them, and as seen from within."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.cluster.api import Api, Object
from tests.cluster.node import until
from tests.cluster.objects import GROUP
from tests.plugin import run

TASKS = Path("/run/containerd/io.containerd.runtime.v2.task/k8s.io")


class Pods:
    """The pods of the default namespace."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def names(self, app: str = "") -> list[str]:
        """Return the names of all pods, or of a Deployment's."""
        pods = self._api.list("Pod", labels=f"app={app}" if app else "")
        return sorted(pod["metadata"]["name"] for pod in pods)

    def running(self) -> list[str]:
        """Return the names of those that are ready and stay."""
        pods = self._api.list("Pod")
        return sorted(pod["metadata"]["name"] for pod in pods if _is_ready(pod))

    def run(self, *pods: Object, seconds: int = 240) -> None:
        """Create pods and wait until they are ready."""
        self._api.apply(*pods)
        names = {str(pod["metadata"]["name"]) for pod in pods}
        self.await_running(*names, seconds=seconds)

    def await_running(self, *names: str, seconds: int = 240) -> None:
        """Wait until pods are ready; fail with what the cluster says of them."""
        try:
            until(lambda: set(names) <= set(self.running()), seconds, f"running {sorted(names)}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(self.events())) from None

    def delete(self, *names: str, seconds: int = 240) -> None:
        """Delete pods and wait until they are gone."""
        for name in names:
            self._api.delete("Pod", name)
        self.await_gone(*names, seconds=seconds)

    def await_gone(self, *names: str, seconds: int = 240) -> None:
        """Wait until there are no such pods."""
        until(lambda: not set(names) & set(self.names()), seconds, f"an end of {sorted(names)}")

    def networks(self, name: str) -> dict[str, Any]:
        """Return what Multus says of a pod's interfaces: its network-status, by interface."""
        pod = self._api.get("Pod", name)
        assert pod is not None, name
        status = json.loads(pod["metadata"]["annotations"][f"{GROUP}/network-status"])
        return {each.get("interface", ""): each for each in status}

    def events(self) -> list[str]:
        """Return the warnings that `kubectl describe pod` shows."""
        return [
            f"{event['involvedObject']['name']}: {event['message']}"
            for event in self._api.list("Event")
            if event["type"] == "Warning"
        ]

    def is_starting(self, name: str) -> bool:
        """Say whether kubelet has taken a pod on."""
        pod = self._api.get("Pod", name)
        return pod is not None and "startTime" in pod["status"]

    def sandbox(self, name: str) -> int:
        """Return the process that holds a pod's namespaces, 0 if there is none."""
        for directory in TASKS.iterdir():
            try:
                notes = json.loads((directory / "config.json").read_bytes())["annotations"]
                process = int((directory / "init.pid").read_text(encoding="ascii"))
            except (OSError, ValueError):  # it comes, or goes
                continue
            kind = notes.get("io.kubernetes.cri.container-type")
            pod = notes.get("io.kubernetes.cri.sandbox-name")
            if (kind, pod) == ("sandbox", name) and Path(f"/proc/{process}").exists():
                return process
        return 0

    def kill_sandbox(self, name: str) -> None:
        """Kill the process that holds a pod's namespaces, as an operator's mistake would."""
        os.kill(self.sandbox(name), signal.SIGKILL)

    def within(self, name: str, *command: str, check: bool = True) -> str:
        """Run a command of the guest's in a pod's network namespace."""
        return run("nsenter", f"--net=/proc/{self.sandbox(name)}/ns/net", *command, check=check)

    def link(self, name: str, interface: str) -> list[Any]:
        """Return what ip says of a pod's interface."""
        return list(json.loads(self.within(name, "ip", "-j", "addr", "show", "dev", interface)))

    def reaches(self, name: str, address: str, tries: int = 20) -> bool:
        """Say whether an address answers a pod's ping, within so many seconds."""
        ping = ("ping", "-c", "1", "-W", "1", address)
        return any(" 0% packet loss" in self.within(name, *ping, check=False) for _ in range(tries))


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]

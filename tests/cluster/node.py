# SPDX-License-Identifier: Apache-2.0
"""A node of Kubernetes in the lab's guest, with its control plane: all programs of both.

Everything is ordinary but what an emulated machine without a registry needs: configuration/ has
it. The programs run on the guest itself; only the directories of etcd, kubelet and containerd are
not on the guest's root, which is an overlay, and an overlay can be no part of another.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster import credentials, objects
from tests.cluster.api import Api, Object, RefusedError
from tests.cluster.program import Program
from tests.plugin import run

NAME = "lab"
ADDRESS = "10.90.0.1"  # neither API server nor kubelet takes a loopback address for the node's
DIRECTORY = Path("/run/cluster")
CREDENTIALS = DIRECTORY / "credentials"
KUBECONFIG = CREDENTIALS / "kubeconfig"
PROGRAMS = Path(os.environ.get("SRIOV_CNI_CACHE", "")) / "bin" / "cluster"
NETWORKS = Path("/etc/cni/net.d")
PLUGINS = Path("/opt/cni/bin")
DEBIANS_PLUGINS = Path("/usr/lib/cni")
DISKS = ("etcd", "containerd", "kubelet")
ETCD = "http://127.0.0.1:2379"
CONFIGURATION = Path(__file__).with_name("configuration")
KUBERNETES = (
    "etcd",
    "kube-apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "kubelet",
    "kubectl",
)
# Multus' daemon looks for the API server as if it were in a pod.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ENVIRONMENT = {
    "PATH": f"{DIRECTORY}/bin:{PROGRAMS}:{os.environ['PATH']}",
    "KUBECONFIG": str(KUBECONFIG),
    "KUBERNETES_SERVICE_HOST": "127.0.0.1",
    "KUBERNETES_SERVICE_PORT": "6443",
    "MULTUS_NODE_NAME": NAME,
}


class Node:
    """The node's programs, by name, and a client of the API server."""

    def __init__(self) -> None:
        os.environ |= ENVIRONMENT
        self.api = Api("127.0.0.1", 6443, str(CREDENTIALS / "ca.crt"), credentials.TOKEN)
        self.programs = {command[0]: Program(DIRECTORY, *command) for command in _commands()}

    def start(self) -> None:
        """Start what does not run; return when the node is ready for pods."""
        if not DIRECTORY.exists():
            prepare()
        self._start("etcd", "containerd", "kube-apiserver")
        until(self.has_api, 300, "an API server")  # without one, the others end, or wait too long
        self._start("kube-controller-manager", "kube-scheduler", "kubelet")
        self.api.apply(objects.NETWORK_DEFINITION)
        until(self._has_networks, 60, "an API server that knows networks")
        self._start("multus-daemon")
        until(self.is_ready, 300, "a node that is ready")
        until(lambda: self.api.get("ServiceAccount", "default"), 120, "an account for pods")

    def _start(self, *names: str) -> None:
        for name in names:
            if not self.programs[name].runs():
                self.programs[name].start()

    def has_api(self) -> bool:
        """Say whether the API server serves."""
        try:
            return bool(self.api.request("GET", "/readyz") == "ok")
        except (OSError, RefusedError):
            return False

    def _has_networks(self) -> bool:
        try:
            self.api.list("NetworkAttachmentDefinition")
        except RefusedError:
            return False
        return True

    def is_ready(self) -> bool:
        """Say whether kubelet has told the API server that the node is ready for pods."""
        return bool(self._readiness().get("status") == "True")

    def why_not_ready(self) -> str:
        """Return kubelet's message about it."""
        return str(self._readiness()["message"])

    def _readiness(self) -> Object:
        node = self.api.get("Node", NAME) or {"status": {}}
        conditions = node["status"].get("conditions", [])
        found: list[Object] = [each for each in conditions if each["type"] == "Ready"]
        return found[0] if found else {}

    def restart(self, *names: str, by: signal.Signals = signal.SIGKILL) -> None:
        """Kill some programs at once, and start them anew."""
        for name in names:
            self.programs[name].stop(by)
        self._start(*names)

    def import_image(self, archive: Path) -> None:
        """Give containerd the images of an archive; there is no registry."""
        until(lambda: run("ctr", "version", check=False) != "", 120, "a containerd that answers")
        run("ctr", "-n", "k8s.io", "images", "import", str(archive))


def prepare() -> None:
    """Make the guest a machine on which a node can run."""
    (DIRECTORY / "bin").mkdir(parents=True)
    for name in KUBERNETES:
        (DIRECTORY / "bin" / name).symlink_to(PROGRAMS / "kube")
    for module in ("veth", "bridge"):
        run("modprobe", module)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    run("mount", "--make-rshared", "/")
    for disk in DISKS:
        directory = Path("/var/lib") / disk
        directory.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", str(directory))
    credentials.make(CREDENTIALS, ADDRESS, "https://127.0.0.1:6443")
    ACCOUNT.mkdir(parents=True)
    (ACCOUNT / "token").write_text(credentials.TOKEN, encoding="ascii")
    (ACCOUNT / "ca.crt").symlink_to(CREDENTIALS / "ca.crt")
    shutil.rmtree(NETWORKS, ignore_errors=True)
    for directory in (NETWORKS, PLUGINS, Path("/var/log/pods")):
        directory.mkdir(parents=True, exist_ok=True)
    for name in ("bridge", "host-local", "loopback"):
        shutil.copy2(DEBIANS_PLUGINS / name, PLUGINS)
    shutil.copy2(PROGRAMS / "multus-shim", PLUGINS)
    shutil.copy2(CONFIGURATION / "10-ordinary.conflist", NETWORKS)


def until(condition: Callable[[], object], seconds: int, what: str) -> None:
    """Wait until something is so; fail after that time, saying what there should have been."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s there is not: {what}"
        time.sleep(0.5)


def until_equal(look: Callable[[], object], expected: object, seconds: int) -> None:
    """Wait until `look` returns what is expected; fail after that time with what it returns."""
    deadline = time.monotonic() + seconds
    while (found := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.5)
    assert found == expected


def _commands() -> tuple[tuple[str, ...], ...]:
    kubeconfig = f"--kubeconfig={KUBECONFIG}"
    account = f"--service-account-private-key-file={CREDENTIALS}/sa.key"
    return (
        (
            *("etcd", "--data-dir=/var/lib/etcd/data", "--unsafe-no-fsync", "--log-level=warn"),
            *(f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}"),
        ),
        ("containerd", "--config", str(CONFIGURATION / "containerd.toml")),
        (
            *("kube-apiserver", f"--etcd-servers={ETCD}", "--secure-port=6443"),
            *("--bind-address=127.0.0.1", f"--advertise-address={ADDRESS}"),
            *("--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/24"),
            f"--tls-cert-file={CREDENTIALS}/server.crt",
            f"--tls-private-key-file={CREDENTIALS}/server.key",
            f"--token-auth-file={CREDENTIALS}/tokens.csv",
            "--authorization-mode=AlwaysAllow",
            "--service-account-issuer=https://kubernetes.default",
            f"--service-account-key-file={CREDENTIALS}/sa.pub",
            f"--service-account-signing-key-file={CREDENTIALS}/sa.key",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-priority-and-fairness=false",
            "--profiling=false",
        ),
        (
            *("kube-controller-manager", kubeconfig, "--leader-elect=false", account),
            *(f"--root-ca-file={CREDENTIALS}/ca.crt", "--profiling=false"),
        ),
        ("kube-scheduler", kubeconfig, "--leader-elect=false"),
        (
            *("kubelet", f"--config={CONFIGURATION}/kubelet.yaml", kubeconfig),
            *(f"--hostname-override={NAME}", f"--node-ip={ADDRESS}", "-v=2"),
        ),
        ("multus-daemon", "-config", str(CONFIGURATION / "multus-daemon.json")),
    )

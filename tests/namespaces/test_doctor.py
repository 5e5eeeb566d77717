# SPDX-License-Identifier: Apache-2.0
"""`sriovctl doctor` on nodes that are broken in the ways it knows, and its remedies carried out.

Cards are trees in place of /sys, with veth devices for their network devices; kubelet and other
plugins are stand-ins. What needs a driver is in tests/lab/test_doctor.py.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from grpclib.server import Server

from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords
from sriov_cni.cni.call import Arguments
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device, Snapshot
from sriov_node.kubelet.api import deviceplugin_pb2 as api
from sriov_node.kubelet.api.deviceplugin_grpc import DevicePluginBase
from sriovctl.doctor.command import CHECKS
from tests.doctors import Doctor, Finding
from tests.kubelet import Kubelet, until
from tests.sysfs import Tree

PF, VF = "0000:3b:00.0", "0000:3b:02.0"
NET = {"resourceName": "net", "selectors": {"pfNames": ["eth1"]}}
SET_UP = """
mount --make-rprivate /
mount --rbind "$0" /sys
for directory in /run /opt /var/lib/cni /etc; do
    mkdir -p $directory
    mount -t tmpfs tmpfs $directory
done
mkdir -p /run/netns /opt/cni/bin
ip link set lo up
for name in eth1 eth1v0 eth1v1; do ip link add $name type veth peer name ${name}p; done
ip link set eth1 up; ip link set eth1p up
echo ready
exec sleep infinity
"""
IN_THE_LAB = {
    *("pf-down", "driver", "mac", "host-use", "module", "preparation", "lost", "go-plugin"),
}
TRIED: set[str] = set()


class Host:
    """A host with a tree in place of /sys; a context manager."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tree = Tree(directory / "sys")
        self.tree.pf(PF, "eth1", vfs=2, total=8)

    def __enter__(self) -> "Host":
        command = ["unshare", "--mount", "--net", "sh", "-ec", SET_UP, str(self.tree.root)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        entering = ("nsenter", "-t", str(self._process.pid), "-m", "-n", "--wd=" + os.getcwd())
        python = [sys.executable, "-P", "-m", "sriovctl"]
        self.doctor = Doctor(python, self.directory, entering)
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()

    def path(self, path: str) -> Path:
        """Return where the test finds a file of the host."""
        return Path(f"/proc/{self._process.pid}/root{path}")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the host."""
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)
        self.path(path).chmod(mode)

    def record(self, netns: str = "/run/netns/none") -> None:
        """Have a record claim VF 0."""
        records = AttachmentRecords(str(self.path("/var/lib/cni/sriov")), create=True)
        function = PciFunction("eth1", 0, VF)
        before = Snapshot(Device("eth1v0", (), "02:00:00:00:00:01", 1500, False, VF), None)
        owner, nothing = Owner("c1", "net1"), Arguments("", {})
        records.write(Record(owner, netns, "net", records.boot, function, before, nothing, {}))


@pytest.fixture
def host() -> Iterator[Host]:
    # a socket's path must be short
    with TemporaryDirectory() as directory, Host(Path(directory)) as host:
        yield host


def found(host: Host, check: str) -> Finding:
    """Return the one finding of a check."""
    TRIED.add(check)
    (finding,) = host.doctor.finds(check)
    return finding


def is_cured(host: Host, check: str, finding: Finding) -> bool:
    """Carry a remedy out, and tell whether that has helped."""
    host.doctor.carry_out(finding.remedy)
    return host.doctor.finds(check) == []


def test_a_card_without_sriov_in_its_firmware(host: Host) -> None:
    host.tree.pf("0000:5e:00.0", "", total=0)
    assert "can have no VF" in found(host, "firmware").problem
    host.tree.write(host.tree.device("0000:5e:00.0") / "sriov_totalvfs", "8")
    assert host.doctor.finds("firmware") == []


def test_a_pf_that_is_named_and_not_there(host: Host) -> None:
    host.doctor.want({"match": {"pf": "eth9"}, "vfs": 2})
    assert "no PF has pf eth9; there are eth1 (0000:3b:00.0)" in found(host, "missing-pf").problem
    host.doctor.want({"match": {"pf": "eth1"}, "vfs": 2})
    assert host.doctor.finds("missing-pf") == []


def test_vfs_for_vfio_without_an_iommu(host: Host) -> None:
    host.tree.bind(VF, "vfio-pci")
    groups = host.tree.root / "kernel/iommu_groups"
    groups.rename(groups.with_name("off"))
    finding = found(host, "iommu")
    assert VF in finding.problem
    assert "intel_iommu=on iommu=pt" in finding.remedy
    groups.with_name("off").rename(groups)
    assert host.doctor.finds("iommu") == []


def test_a_pf_without_carrier(host: Host) -> None:
    assert host.doctor.finds("carrier") == []
    host.doctor.carry_out("ip link set eth1p down")
    assert found(host, "carrier").problem.startswith("eth1 (0000:3b:00.0) has no carrier")
    host.doctor.carry_out("ip link set eth1p up")
    assert host.doctor.finds("carrier") == []


def test_a_state_directory_that_cannot_be_used(host: Host) -> None:
    host.write("/var/lib/cni/sriov", "a file")
    assert "/var/lib/cni/sriov: Not a directory" in found(host, "state-directory").problem
    host.path("/var/lib/cni/sriov").unlink()
    assert host.doctor.finds("state-directory") == []


def test_a_record_that_is_damaged_and_one_that_was_set_aside(host: Host) -> None:
    for name in (f"{VF},c1,net1", f"damaged-{VF},c2,net1"):
        host.write(f"/var/lib/cni/sriov/{name}", "{")
    TRIED.add("record")
    for finding in host.doctor.finds("record"):
        host.doctor.carry_out(finding.remedy)
    assert host.doctor.finds("record") == []
    assert list(host.path("/var/lib/cni/sriov").iterdir()) == []


def test_a_vf_that_a_driver_would_not_restore(host: Host) -> None:
    host.write(f"/var/lib/cni/sriov/unrestored,{VF}", "{}")
    finding = found(host, "unrestored")
    assert finding.problem.startswith(f"{VF} is not as it was before a pod")
    host.doctor.carry_out(finding.remedy.partition("and: ")[2])
    assert host.doctor.finds("unrestored") == []


def test_a_file_that_a_killed_add_left(host: Host) -> None:
    path = f"/var/lib/cni/sriov/.new-{VF},c1,net1"
    host.write(path, "")
    assert host.doctor.finds("unfinished") == []  # it may be being written
    os.utime(host.path(path), times=(time.time() - 7200,) * 2)
    assert is_cured(host, "unfinished", found(host, "unfinished"))


def test_files_about_devices_that_no_resource_has(host: Host) -> None:
    host.doctor.serve(NET)
    good = f"/run/k8s.cni.cncf.io/devinfo/dp/intel.com-net-{VF}-device.json"
    host.write(good, "{}")
    assert host.doctor.finds("stale-file") == []
    host.write(good.replace("02.0", "02.7"), "{}")
    assert is_cured(host, "stale-file", found(host, "stale-file"))
    host.write("/run/cdi/sriov-intel.com_old.json", "{}")
    assert is_cured(host, "stale-file", found(host, "stale-file"))
    assert host.path(good).exists()


def test_a_preparation_that_hangs(host: Host) -> None:
    path = f"/run/sriov/preparing/{PF}"
    host.write(path, "")
    os.utime(host.path(path), times=(time.time() - 7200,) * 2)
    assert host.doctor.finds("preparing") == []  # nobody has locked it
    locking = subprocess.Popen(["flock", "--no-fork", str(host.path(path)), "sleep", "60"])
    while not (findings := host.doctor.finds("preparing")):
        assert locking.poll() is None
    TRIED.add("preparing")
    assert "has been prepared for 120 minutes" in findings[0].problem
    locking.kill()
    locking.wait()
    while host.doctor.finds("preparing"):
        time.sleep(0.1)


def test_faults_in_configurations(host: Host) -> None:
    host.doctor.want({"match": {"pf": "eth1"}, "vfs": -1})
    assert "vfs is -1, it must be a whole number" in found(host, "configuration").problem
    host.doctor.want({"match": {"pf": "eth1"}, "vfs": 2})
    assert host.doctor.finds("configuration") == []


def test_resources_without_a_device(host: Host) -> None:
    other = {"resourceName": "other", "selectors": {"drivers": ["iavf"]}}
    host.doctor.serve(NET, other)
    problem = found(host, "resource").problem
    assert problem.startswith("intel.com/other has no device: intel.com/net, which stands before")
    host.doctor.serve(NET, other | {"selectors": {"drivers": ["vfio-pci"]}})
    assert "of the VFs were refused: 2 by drivers" in found(host, "resource").problem
    host.doctor.serve(NET)
    assert host.doctor.finds("resource") == []


def test_a_cni_plugin_that_is_missing_or_does_not_start(host: Host) -> None:
    assert "is missing" in found(host, "plugin").problem
    host.write("/opt/cni/bin/sriov", "#!/bin/sh\nexit 1\n", 0o755)
    assert "does not start" in found(host, "plugin").problem
    versions = json.dumps({"cniVersion": "1.1.0", "supportedVersions": ["1.1.0"]})
    host.write("/opt/cni/bin/sriov", f"#!/bin/sh\necho '{versions}'\n", 0o755)
    assert host.doctor.finds("plugin") == []


# What NetworkManager says of devices, as nmcli(1) prints it; a driver may be unmanaged by conf.d.
NMCLI = """#!/bin/sh
[ "$1" != general ] || exit 0
state=connected
! grep -q '^unmanaged-devices=driver:iavf$' /etc/NetworkManager/conf.d/*.conf || state=unmanaged
printf 'eth1:connected\\neth1v0:%s\\neth1v1:%s\\nlo:unmanaged\\n' $state $state
"""


def test_vfs_that_network_manager_manages(host: Host) -> None:
    host.path("/etc/NetworkManager/conf.d").mkdir(parents=True)
    host.write("/run/bin/nmcli", NMCLI, 0o755)
    host.doctor.within = (*host.doctor.within, "env", f"PATH=/run/bin:{os.environ['PATH']}")
    finding = found(host, "network-manager")
    assert "NetworkManager manages the VFs eth1v0, eth1v1" in finding.problem
    assert is_cured(host, "network-manager", finding)


def with_kubelet(host: Host, story: Callable[[Kubelet], Any]) -> None:
    """Run a story beside a kubelet; the doctor's calls are made in threads."""

    async def run() -> None:
        kubelet = Kubelet(str(host.directory / "kubelet"))
        await kubelet.start()
        try:
            await story(kubelet)
        finally:
            await kubelet.stop()

    asyncio.run(run())


def test_a_record_of_a_pod_that_is_gone(host: Host) -> None:
    async def story(kubelet: Kubelet) -> None:
        host.tree.take("eth1v0")
        host.record()
        finding = await asyncio.to_thread(found, host, "gone-pod")
        assert "/run/netns/none is gone and kubelet knows of no pod" in finding.problem
        assert finding.remedy == "sriovctl release c1 net1"

    with_kubelet(host, story)


@asynccontextmanager
async def agent(host: Host, kubelet: Kubelet) -> AsyncIterator[None]:
    """Run the agent beside a kubelet."""
    process = await asyncio.create_subprocess_exec(
        *(*host.doctor.within, sys.executable, "-P", "-m", "sriov_node", "--metrics-address="),
        *("--config-dir", str(host.directory), "--config-file", "/none"),
        *("--kubelet-dir", kubelet.directory),
    )
    try:
        sockets = Path(kubelet.plugins)
        await until(lambda: any(sockets.glob("sriov-*.sock")), seconds=20)
        await until(lambda: bool(kubelet.resources() or kubelet.refusal), seconds=20)
        yield
    finally:
        process.terminate()
        await process.wait()


def test_resources_that_no_agent_serves_and_a_silent_kubelet(host: Host) -> None:
    host.doctor.serve(NET)
    assert "no agent serves kubelet" in found(host, "agent").problem
    assert "kubelet does not answer" in found(host, "kubelet").problem

    async def story(kubelet: Kubelet) -> None:
        status = (await asyncio.to_thread(host.doctor.call, "status")).stdout
        assert "no agent serves kubelet" in status
        assert "kubelet does not know of" not in status  # that follows, and mends itself
        async with agent(host, kubelet):
            assert await asyncio.to_thread(host.doctor.finds, "agent", "kubelet") == []

    with_kubelet(host, story)


def test_a_resource_that_kubelet_refuses(host: Host) -> None:
    host.doctor.serve(NET)

    async def story(kubelet: Kubelet) -> None:
        kubelet.refusal = "the name is taken"
        async with agent(host, kubelet):
            finding = await asyncio.to_thread(found, host, "registration")
            assert (
                "an agent serves intel.com/net, and kubelet does not know of it" in finding.problem
            )
            status = await asyncio.to_thread(host.doctor.call, "status")
            assert "Critical: kubelet does not know of intel.com/net" in status.stdout
            kubelet.refusal = ""
            await until(lambda: VF in kubelet.devices("intel.com/net"), 20)  # it tries again
            assert await asyncio.to_thread(host.doctor.finds, "registration") == []

    with_kubelet(host, story)


def test_a_pods_device_that_is_not_there(host: Host) -> None:
    host.doctor.serve(NET)

    async def story(kubelet: Kubelet) -> None:
        async with agent(host, kubelet):
            await until(lambda: VF in kubelet.devices("intel.com/net"))
            given = await kubelet.allocate("intel.com/net", ids=[VF])
            assert await asyncio.to_thread(host.doctor.finds, "allocation") == []
            host.tree.set_numvfs(PF, 0)
            finding = await asyncio.to_thread(found, host, "allocation")
            assert f"kubelet gave {VF} to container" in finding.problem
            assert finding.remedy.startswith("kubectl delete pod -n ")
            kubelet.release(given)  # as kubelet does with a pod that is deleted
            assert await asyncio.to_thread(host.doctor.finds, "allocation") == []

    with_kubelet(host, story)


class OtherPlugin(DevicePluginBase):
    """A device plugin of somebody else's, which announces VF 0."""

    async def ListAndWatch(self, stream: Any) -> None:  # noqa: N802
        await stream.recv_message()
        devices = [api.Device(ID=VF, health="Healthy")]
        await stream.send_message(api.ListAndWatchResponse(devices=devices))
        await asyncio.sleep(60)

    async def GetDevicePluginOptions(self, stream: Any) -> None:  # noqa: N802
        raise NotImplementedError

    Allocate = GetPreferredAllocation = PreStartContainer = GetDevicePluginOptions


def test_another_device_plugin_with_the_same_devices(host: Host) -> None:
    host.doctor.serve(NET)

    async def story(kubelet: Kubelet) -> None:
        server = Server([OtherPlugin()])
        path = f"{kubelet.directory}/device-plugins/intel.com_net.sock"
        await server.start(path=path)
        finding = await asyncio.to_thread(found, host, "other-plugin")
        assert finding.problem.startswith(f"another device plugin announces {VF} at {path}")
        server.close()
        await server.wait_closed()
        assert await asyncio.to_thread(host.doctor.finds, "other-plugin") == []

    with_kubelet(host, story)


def test_every_check_is_tried_here_or_in_the_lab() -> None:
    assert {check.name for check in CHECKS} - IN_THE_LAB == TRIED

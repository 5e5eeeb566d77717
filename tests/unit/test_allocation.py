# SPDX-License-Identifier: Apache-2.0
"""What a container gets with devices: the formats are those that workloads parse."""

import json
from pathlib import Path

import pytest

from sriov_node.device_plugin.allocation import Node, RefusedError, allot, variable
from sriov_node.device_plugin.pool import Pool
from sriov_node.device_plugin.resource import Resource, Selector
from sriov_node.inventory.device import Device
from tests.functions import RESOURCE, Machine, pool, vf

VFIO = "/dev/vfio/vfio"
SF = Device("mlx5_core.sf.4", "0000:03:00.0", "15b3", "1021", 0x020000, aux_type="sf")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without any devices."""
    return Machine(tmp_path)


def wanting(selector: Selector) -> Resource:
    return RESOURCE._replace(selectors=(selector,))


def info(machine: Machine, offered: Pool, device: Device) -> dict[str, dict[str, str]]:
    """Return what a container's variable tells of a device."""
    variables = allot(offered, [device.id], machine.root).variables
    document = json.loads(variables[f"{variable(offered.resource)}_INFO"])
    found: dict[str, dict[str, str]] = document[device.id]
    return found


def paths(machine: Machine, offered: Pool, *devices: Device) -> list[tuple[str, str]]:
    """Return the nodes that a container gets: where it sees them, and where the host has them."""
    return list(allot(offered, [device.id for device in devices], machine.root).nodes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("intel.com/sriov_net", "PCIDEVICE_INTEL_COM_SRIOV_NET"),
        ("intel.com/mlnx-rdma", "PCIDEVICE_INTEL_COM_MLNX-RDMA"),
        ("openshift.io/Net.1", "PCIDEVICE_OPENSHIFT_IO_NET_1"),
    ],
)
def test_a_variable_is_named_after_its_resource(name: str, expected: str) -> None:
    assert variable(Resource(name, ())) == expected


def test_ids_are_listed_in_the_order_asked_for(machine: Machine) -> None:
    for index in range(3):
        machine.add(vf(index))
    asked = [vf(2).id, vf(0).id, vf(1).id]
    variables = allot(pool(vf(0), vf(1), vf(2)), asked, machine.root).variables
    assert variables["PCIDEVICE_INTEL_COM_SRIOV_NET"] == ",".join(asked)


def test_information_is_always_there_compact_and_sorted(machine: Machine) -> None:
    machine.add(vf(0))
    machine.add(vf(1))
    variables = allot(pool(vf(0), vf(1)), [vf(1).id, vf(0).id], machine.root).variables
    assert variables["PCIDEVICE_INTEL_COM_SRIOV_NET_INFO"] == (
        '{"0000:01:10.0":{"generic":{"deviceID":"0000:01:10.0"}},'
        '"0000:01:10.1":{"generic":{"deviceID":"0000:01:10.1"}}}'
    )


def test_a_device_that_the_kernel_drives_needs_no_node(machine: Machine) -> None:
    machine.add(vf(0))
    assert paths(machine, pool(vf(0)), vf(0)) == []


def test_a_vfio_device_comes_with_the_node_of_its_group(machine: Machine) -> None:
    machine.add(vf(0), "vfio-pci")
    machine.set_group(vf(0), 12)
    assert paths(machine, pool(vf(0)), vf(0)) == [(VFIO, VFIO), ("/dev/vfio/12", "/dev/vfio/12")]
    wanted = {"mount": VFIO, "dev-mount": "/dev/vfio/12"}
    assert info(machine, pool(vf(0)), vf(0))["vfio"] == wanted


def test_without_an_iommu_the_group_has_another_name_on_the_host(machine: Machine) -> None:
    machine.add(vf(0), "vfio-pci")
    machine.set_group(vf(0), 0, "vfio-noiommu")
    nodes = paths(machine, pool(vf(0)), vf(0))
    assert nodes == [(VFIO, VFIO), ("/dev/vfio/0", "/dev/vfio/noiommu-0")]
    assert info(machine, pool(vf(0)), vf(0))["vfio"]["dev-mount"] == "/dev/vfio/0"


def test_a_group_with_a_name_of_its_own_is_an_ordinary_one(machine: Machine) -> None:
    machine.add(vf(0), "vfio-pci")
    machine.set_group(vf(0), 3, "something")
    assert paths(machine, pool(vf(0)), vf(0))[1] == ("/dev/vfio/3", "/dev/vfio/3")


def test_a_kernel_with_iommufd_has_a_node_per_device_as_well(machine: Machine) -> None:
    directory = machine.add(vf(0), "vfio-pci")
    machine.set_group(vf(0), 12)
    (directory / "vfio-dev/vfio5").mkdir(parents=True)
    assert len(paths(machine, pool(vf(0)), vf(0))) == 2  # no /dev/iommu, nothing to use it with
    machine.add_node("/dev/iommu")
    own = ("/dev/vfio/devices/vfio5", "/dev/iommu")
    assert paths(machine, pool(vf(0)), vf(0))[2:] == [(path, path) for path in own]


def test_devices_of_one_group_share_its_node(machine: Machine) -> None:
    for index in range(2):
        machine.add(vf(index), "vfio-pci")
        machine.set_group(vf(index), 12)
    assert len(paths(machine, pool(vf(0), vf(1)), vf(0), vf(1))) == 2


def test_a_vfio_device_outside_any_group_is_refused(machine: Machine) -> None:
    machine.add(vf(0), "vfio-pci")
    with pytest.raises(RefusedError, match="in no IOMMU group"):
        paths(machine, pool(vf(0)), vf(0))


@pytest.mark.parametrize("driver", ["igb_uio", "uio", "uio_pci_generic"])
def test_a_uio_device_comes_with_its_node(machine: Machine, driver: str) -> None:
    directory = machine.add(vf(0), driver)
    with pytest.raises(RefusedError, match=f"{driver} has not made a /dev/uio node"):
        paths(machine, pool(vf(0)), vf(0))
    (directory / "uio/uio3").mkdir(parents=True)
    assert paths(machine, pool(vf(0)), vf(0)) == [("/dev/uio3", "/dev/uio3")]
    assert info(machine, pool(vf(0)), vf(0))["uio"] == {"mount": "/dev/uio3"}


def add_rdma(directory: Path) -> None:
    for name in ("infiniband/mlx5_4", "infiniband_verbs/uverbs4"):
        (directory / name).mkdir(parents=True)
    for name in ("infiniband_mad/umad6", "infiniband_mad/issm6"):
        (directory / name).mkdir(parents=True)


@pytest.mark.parametrize("device", [vf(0), SF], ids=["VF", "SF"])
def test_an_rdma_device_comes_with_its_character_devices(machine: Machine, device: Device) -> None:
    add_rdma(machine.add(device, "mlx5_core"))
    machine.add_node("/dev/infiniband/rdma_cm")
    offered = pool(device, resource=wanting(Selector(is_rdma=True)))
    names = ["uverbs4", "umad6", "issm6", "rdma_cm"]
    assert [host for _, host in paths(machine, offered, device)] == [
        f"/dev/infiniband/{name}" for name in names
    ]
    assert info(machine, offered, device)["rdma"] == {
        "uverbs": "/dev/infiniband/uverbs4",
        "umad": "/dev/infiniband/umad6",
        "issm": "/dev/infiniband/issm6",
        "rdma_cm": "/dev/infiniband/rdma_cm",
        "rdma_dev": "mlx5_4",
    }


def test_rdma_devices_are_for_a_resource_that_asks_for_them(machine: Machine) -> None:
    add_rdma(machine.add(vf(0), "mlx5_core"))
    assert paths(machine, pool(vf(0)), vf(0)) == []
    assert "rdma" not in info(machine, pool(vf(0)), vf(0))


def test_rdma_cm_is_left_out_where_its_module_is_not_loaded(machine: Machine) -> None:
    add_rdma(machine.add(vf(0), "mlx5_core"))
    offered = pool(vf(0), resource=wanting(Selector(is_rdma=True)))
    assert len(paths(machine, offered, vf(0))) == 3


def test_vhost_net_is_added_where_it_is_needed_and_there(machine: Machine) -> None:
    machine.add(vf(0))
    offered = pool(vf(0), resource=wanting(Selector(need_vhost_net=True)))
    machine.add_node("/dev/net/tun")
    assert paths(machine, offered, vf(0)) == []
    machine.add_node("/dev/vhost-net")
    assert [host for _, host in paths(machine, offered, vf(0))] == [
        "/dev/vhost-net",
        "/dev/net/tun",
    ]
    wanted = {"net-mount": "/dev/vhost-net", "tun-mount": "/dev/net/tun"}
    assert info(machine, offered, vf(0))["vhost"] == wanted
    assert paths(machine, pool(vf(0)), vf(0)) == []


def test_additional_information_of_all_is_overridden_by_that_of_a_device(machine: Machine) -> None:
    for index in range(2):
        machine.add(vf(index))
    additional = {"*": {"token": "all", "zone": "a"}, vf(1).id: {"token": "own ü"}}
    offered = pool(vf(0), vf(1), resource=RESOURCE._replace(additional_info=additional))
    assert info(machine, offered, vf(0))["extra"] == {"token": "all", "zone": "a"}
    assert info(machine, offered, vf(1))["extra"] == {"token": "own ü", "zone": "a"}


def test_a_driver_among_those_wanted_is_fine(machine: Machine) -> None:
    machine.add(vf(0), "vfio-pci")
    machine.set_group(vf(0), 1)
    wanted = Resource("intel.com/dpdk", (Selector(drivers=("igb_uio", "vfio-pci")),))
    assert paths(machine, pool(vf(0), resource=wanted), vf(0))[1] == Node(
        "/dev/vfio/1", "/dev/vfio/1"
    )


def test_a_device_without_driver_is_refused_if_one_is_wanted(machine: Machine) -> None:
    machine.add(vf(0), driver=None)
    wanted = Resource("intel.com/dpdk", (Selector(drivers=("igb_uio", "vfio-pci")),))
    with pytest.raises(RefusedError, match=r"to no driver by now, .* for igb_uio or vfio-pci"):
        paths(machine, pool(vf(0), resource=wanted), vf(0))


def test_no_path_is_built_from_what_is_not_the_pools(machine: Machine) -> None:
    machine.add(vf(0))
    for device_id in ("", "..", "/etc/passwd", vf(1).id, "x" * 10_000, "\0"):
        with pytest.raises(RefusedError, match=r"no device of intel\.com/sriov_net") as refusal:
            allot(pool(vf(0)), [device_id], machine.root)
        assert len(str(refusal.value)) < 200

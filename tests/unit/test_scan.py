# SPDX-License-Identifier: Apache-2.0
"""The scan of trees like those of cards: which devices there are, and what each is.

The trees' names are such as this machine does not have: rtnetlink is the machine's own.
"""

from pathlib import Path

import pytest

from sriov_cni.kernel.errors import KernelError
from sriov_node.inventory.device import Device, Snapshot, State
from sriov_node.inventory.scan import Inventory
from tests.sysfs import INFINIBAND, Tree

PF, SECOND = "0000:3b:00.0", "0000:3b:00.1"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A machine without cards, which this process takes for its own."""
    tree = Tree(tmp_path / "sys")
    tree.install(monkeypatch)
    return tree


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    """An inventory that has not scanned yet, of a node where no pod was ever attached."""
    return Inventory(str(tmp_path / "state"))


def vfs(snapshot: Snapshot) -> list[Device]:
    return [device for device in snapshot.devices.values() if device.number is not None]


def test_a_machine_without_cards_has_no_devices(tree: Tree, inventory: Inventory) -> None:
    tree.function("0000:00:01.0", class_code=0x060400, driver="pcieport")
    assert inventory.scan() == Snapshot({}, ())


def test_a_machine_without_pci_has_no_devices(tree: Tree, inventory: Inventory) -> None:
    (tree.root / "bus/pci/devices").rmdir()
    assert inventory.scan() == Snapshot({}, ())


def test_sysfs_that_is_not_there_is_an_error(tree: Tree, inventory: Inventory) -> None:
    (tree.root / "bus").rename(tree.root / "elsewhere")
    with pytest.raises(KernelError, match=r"reading .*/bus: No such file"):
        inventory.scan()


def test_everything_is_known_of_a_vf_and_its_pf(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ens901f0", vfs=2, numa=1)
    tree.write(tree.device(PF) / "acpi_index", "3")
    snapshot = inventory.scan()
    assert snapshot.pfs == (PF,)
    assert snapshot.devices["0000:3b:02.1"] == Device(
        id="0000:3b:02.1",
        address="0000:3b:02.1",
        vendor="8086",
        model="1889",
        class_code=0x020000,
        driver="iavf",
        pf=PF,
        pf_names=("ens901f0",),
        number=1,
        numa_node=1,
        iommu_group=3,
        netdevs=("ens901f0v1",),
        link_type="ether",
    )
    pf = snapshot.devices[PF]
    assert (pf.driver, pf.pf, pf.pf_names, pf.number) == ("ice", None, ("ens901f0",), None)
    assert (pf.enabled_vfs, pf.acpi_index, pf.netdevs) == (2, "3", ("ens901f0",))


def test_a_snapshot_cannot_be_changed(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ens901f0")
    with pytest.raises(TypeError):
        inventory.scan().devices[PF] = None  # type: ignore[index]


@pytest.mark.parametrize(
    ("driver", "vf_driver", "model", "vf_model"),
    [("igb", "igbvf", "10c9", "10ca"), ("i40e", "iavf", "1572", "154c")],
)
def test_older_cards_of_two_ports(
    tree: Tree, inventory: Inventory, driver: str, vf_driver: str, model: str, vf_model: str
) -> None:
    for pf, netdev, count in ((PF, "ens901f0", 3), (SECOND, "ens901f1", 10)):
        tree.pf(
            pf,
            netdev,
            vfs=count,
            driver=driver,
            vf_driver=vf_driver,
            model=model,
            vf_model=vf_model,
            numa=-1,
        )
    snapshot = inventory.scan()
    assert snapshot.pfs == (PF, SECOND)
    assert [(vf.pf, vf.number) for vf in vfs(snapshot)] == [
        *((PF, index) for index in range(3)),
        *((SECOND, index) for index in range(10)),
    ]
    assert {(vf.driver, vf.model, vf.numa_node) for vf in vfs(snapshot)} == {
        (vf_driver, vf_model, None)
    }


def test_a_pf_in_switchdev_mode_is_known_by_its_uplink(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "enp59s0f0np0", vfs=2, driver="mlx5_core", vf_driver="mlx5_core", vendor="15b3")
    tree.write(tree.device(PF) / "net/enp59s0f0np0/phys_port_name", "p0")
    tree.representor(PF, "aaa", "pf0vf0")  # sorts before the uplink
    tree.representor(PF, "enp59s0f0npf0vf1", "pf0vf1")
    tree.representor(PF, "ens907", "pf0sf88")
    tree.sub_function("mlx5_core.sf.4", PF, 88, "enp59s0f0s88")
    tree.rdma("mlx5_core.sf.4", "mlx5_3")
    snapshot = inventory.scan()
    assert snapshot.devices[PF].netdevs == ("enp59s0f0np0",)
    assert {vf.pf_names for vf in vfs(snapshot)} == {("enp59s0f0np0",)}
    part = snapshot.devices["mlx5_core.sf.4"]
    assert (part.address, part.pf, part.number) == (PF, PF, 88)
    assert (part.aux_type, part.driver, part.vendor) == ("sf", "mlx5_core.sf", "15b3")
    assert (part.netdevs, part.rdma) == (("enp59s0f0s88",), ("mlx5_3",))
    assert (part.numa_node, part.iommu_group) == (0, None)


def test_representors_that_come_later_are_not_taken_for_the_pf(
    tree: Tree, inventory: Inventory
) -> None:
    tree.pf(PF, "ens901f0np0", vfs=1)
    inventory.scan()
    tree.representor(PF, "aaa", "pf0vf0")
    assert inventory.scan().devices[PF].pf_names == ("ens901f0np0",)


def test_auxiliary_devices_that_are_no_sub_functions_are_left_out(
    tree: Tree, inventory: Inventory
) -> None:
    tree.pf(PF, "ens901f0")
    tree.sub_function("mlx5_core.eth.0", PF, 0, driver="mlx5_core.eth")
    assert list(inventory.scan().devices) == [PF]


def test_infiniband_cards_and_their_vfs(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ibp59s0", vfs=2, vf_driver="mlx5_core", vendor="15b3", kind=INFINIBAND)
    tree.rdma(PF, "mlx5_0")
    tree.rdma(tree.vf(PF, 0), "mlx5_1")
    tree.take("ibp59s0v1")
    first, second = vfs(inventory.scan())
    assert (first.link_type, first.rdma, first.netdevs) == (
        "infiniband",
        ("mlx5_1",),
        ("ibp59s0v0",),
    )
    assert (second.link_type, second.rdma, second.netdevs) == ("infiniband", (), ())


def test_another_kind_of_link_has_its_number(tree: Tree, inventory: Inventory) -> None:
    tree.function("0000:00:05.0", "can0", kind=280)
    assert inventory.scan().devices["0000:00:05.0"].link_type == "280"


def test_a_vf_inside_a_virtual_machine_has_no_pf(tree: Tree, inventory: Inventory) -> None:
    tree.function("0000:00:05.0", "ens905", driver="iavf")
    tree.function("0000:00:06.0", driver="virtio-pci", vendor="1af4", model="1041")
    tree.netdev("0000:00:06.0", "ens906", within="virtio2")
    snapshot = inventory.scan()
    assert snapshot.pfs == ()
    vf, virtio = snapshot.devices.values()
    assert (vf.pf, vf.number, vf.pf_names, vf.netdevs) == (None, None, (), ("ens905",))
    assert (virtio.netdevs, virtio.use.state) == (("ens906",), State.FREE)


def test_a_vf_bound_to_vfio_has_the_link_type_of_its_pf(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ens901f0", vfs=1)
    tree.bind(tree.vf(PF, 0), "vfio-pci")
    (vf,) = vfs(inventory.scan())
    assert (vf.driver, vf.netdevs, vf.link_type) == ("vfio-pci", (), "ether")
    assert vf.use.state is State.FREE


def test_a_vf_without_driver_is_known(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ens901f0", vfs=1, vf_driver=None)
    (vf,) = vfs(inventory.scan())
    assert (vf.driver, vf.use.state) == (None, State.FREE)


def test_a_driver_is_read_again_by_every_scan(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ens901f0", vfs=1)
    inventory.scan()
    for driver in ("vfio-pci", None, "iavf"):
        tree.bind(tree.vf(PF, 0), driver)
        assert inventory.light()
        (vf,) = vfs(inventory.scan())
        assert vf.driver == driver
        assert not inventory.light()


def test_new_vfs_at_the_same_addresses_are_read_anew(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ens901f0", vfs=3)
    before = inventory.scan()
    tree.set_numvfs(PF, 0)
    tree.set_numvfs(PF, 3)
    tree.write(tree.device(tree.vf(PF, 1)) / "numa_node", "7")
    assert inventory.light()
    after = inventory.scan()
    assert [vf.id for vf in vfs(after)] == [vf.id for vf in vfs(before)]
    assert after.devices[tree.vf(PF, 1)].numa_node == 7


def test_vfs_come_and_go(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ens901f0", vfs=3)
    assert len(vfs(inventory.scan())) == 3
    tree.set_numvfs(PF, 1)
    snapshot = inventory.scan()
    assert (len(vfs(snapshot)), snapshot.devices[PF].enabled_vfs) == (1, 1)
    tree.remove(tree.vf(PF, 0))
    tree.remove(PF)
    assert inventory.scan().devices == {}


def test_a_vf_seen_before_it_was_linked_to_its_pf_is_read_again(
    tree: Tree, inventory: Inventory
) -> None:
    tree.pf(PF, "ens901f0", vfs=1)
    link = tree.device(tree.vf(PF, 0)) / "physfn"
    target = link.readlink()
    link.unlink()
    assert inventory.scan().devices[tree.vf(PF, 0)].pf is None
    link.symlink_to(target)
    assert inventory.scan().devices[tree.vf(PF, 0)].pf == PF


def test_a_vf_whose_device_is_elsewhere_without_a_record_is_seen(
    tree: Tree, inventory: Inventory
) -> None:
    tree.pf(PF, "ens901f0", vfs=1)
    tree.take("ens901f0v0")
    (vf,) = vfs(inventory.scan())
    assert vf.use.state is State.ELSEWHERE
    assert "it is in another namespace, or iavf gives none" in vf.use.reason


def test_a_pf_in_a_bond_is_the_hosts_and_its_vfs_are_not(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ens901f0", vfs=1)
    tree.pf(SECOND, "ens901f1")
    tree.virtual("bond0", "ens901f0", "ens901f1", group=True)
    snapshot = inventory.scan()
    assert snapshot.devices[PF].use.state is State.HOST
    assert snapshot.devices[SECOND].use.reason == (
        "(ens901f1) belongs to a bond, bridge or team of the host"
    )
    assert snapshot.devices[tree.vf(PF, 0)].use.state is State.FREE


def test_a_vf_below_devices_of_the_host_is_the_hosts(tree: Tree, inventory: Inventory) -> None:
    tree.pf(PF, "ens901f0", vfs=2)
    tree.virtual("storage", "ens901f0v0")
    tree.virtual("backup", "ens901f0v0")
    first, second = vfs(inventory.scan())
    assert first.use.reason == "(ens901f0v0) is the host's: backup, storage sit on it"
    assert second.use.state is State.FREE

# SPDX-License-Identifier: Apache-2.0
"""Which resource gets which device: the first that takes it, and what a pod holds stays."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_node.device_plugin import configuration
from sriov_node.device_plugin.assignment import Assignment, assign, summary
from sriov_node.device_plugin.resource import Members, Resource, Selector
from sriov_node.inventory.device import Device, State, Use
from tests.assignments import DEVICES
from tests.documents import text
from tests.nics import ACCELERATOR_CLASS, infiniband_vf, pf, sub_function, vf

KERNEL = Resource("intel.com/kernel", (Selector(drivers=("iavf",)),))
DPDK = Resource("intel.com/dpdk", (Selector(drivers=("vfio-pci",)),))
ALL = Resource("intel.com/all", (Selector(),))
SUB_FUNCTIONS = Resource("nvidia.com/sf", (Selector(),), auxiliary=True)


def ids(found: Assignment) -> dict[str, list[str]]:
    return {name: list(devices) for name, devices in found.taken.items()}


def reason(device: Device) -> str:
    """Return why a resource that takes everything does not get a device."""
    found = assign([ALL], [device], {})
    assert found.taken == {ALL.name: {}}
    assert found.refusals == {ALL.name: {}}  # no key of its had a part in it
    return found.refused[device.id]


def test_the_first_resource_that_takes_a_device_has_it() -> None:
    devices = [vf(0), vf(1, driver="vfio-pci")]
    assert ids(assign([KERNEL, ALL], devices, {})) == {
        KERNEL.name: ["0000:01:10.0"],
        ALL.name: ["0000:01:10.1"],
    }
    assert ids(assign([ALL, KERNEL], devices, {})) == {
        ALL.name: ["0000:01:10.0", "0000:01:10.1"],
        KERNEL.name: [],
    }


def test_the_selector_that_took_a_device_is_told() -> None:
    selectors = (Selector(drivers=("vfio-pci",), need_vhost_net=True), Selector())
    found = assign([Resource("a.b/c", selectors)], [vf(0), vf(1, driver="vfio-pci")], {})
    assert list(found.taken["a.b/c"].values()) == [selectors[1], selectors[0]]


def test_devices_stand_in_the_order_of_their_addresses_and_numbers() -> None:
    functions = [sub_function(10), sub_function(9)]
    others = [vf(2), vf(0, of=1), vf(0)]
    found = assign([ALL, SUB_FUNCTIONS], [*functions, *others], {})
    assert ids(found) == {
        ALL.name: ["0000:01:10.0", "0000:01:10.2", "0000:01:18.0"],
        SUB_FUNCTIONS.name: ["mlx5_core.sf.9", "mlx5_core.sf.10"],
    }


def test_the_four_resources_of_the_example_get_their_devices() -> None:
    found = configuration.parse(text("conf/config.json.example").encode(), "intel.com")
    dpdk = vf(1, driver="vfio-pci")._replace(pf_names=("enp0s0f0",))
    ethernet_rdma = infiniband_vf(0)._replace(link_type="ether")
    other_model = infiniband_vf(1)._replace(model="1016")
    devices = [vf(0), dpdk, vf(2, driver="vfio-pci"), ethernet_rdma, other_model]
    result = assign(found.resources, devices, {})
    assert ids(result) == {
        "intel.com/intel_sriov_netdevice": [vf(0).id],
        "intel.com/intel_sriov_dpdk": [dpdk.id],
        "intel.com/mlnx_sriov_rdma": [ethernet_rdma.id],
        "intel.com/infiniband_rdma_netdevs": [other_model.id],
    }
    assert list(result.refused) == [vf(2).id]


def test_a_pf_is_offered_unless_it_has_vfs() -> None:
    assert ids(assign([ALL], [pf(0), pf(1, enabled_vfs=0)], {})) == {ALL.name: ["0000:01:00.1"]}
    assert reason(pf(0)) == "it is a PF with 8 VFs, which are offered in its place"


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (vf(driver=None), "it is bound to no driver"),
        (
            vf()._replace(use=Use(State.HOST, "default route through eth0v0")),
            "the host uses it: default route through eth0v0",
        ),
        (
            vf()._replace(class_code=ACCELERATOR_CLASS),
            "its PCI class is 0x120000, and that of network devices 0x02....",
        ),
    ],
)
def test_what_no_pod_can_have_is_left_out_with_a_reason(device: Device, said: str) -> None:
    assert reason(device) == said


@pytest.mark.parametrize("state", [state for state in State if state is not State.HOST])
def test_what_a_pod_has_or_gives_back_stays_where_it_is(state: State) -> None:
    device = vf()._replace(use=Use(state, "a pod"))
    assert ids(assign([ALL], [device], {})) == {ALL.name: [device.id]}


def test_sub_functions_are_for_their_own_resources() -> None:
    found = assign([ALL, SUB_FUNCTIONS], [vf(), sub_function()], {})
    assert ids(found) == {ALL.name: [vf().id], SUB_FUNCTIONS.name: [sub_function().id]}
    found = assign([SUB_FUNCTIONS], [sub_function()._replace(class_code=0)], {})
    assert ids(found) == {SUB_FUNCTIONS.name: [sub_function().id]}
    found = assign([SUB_FUNCTIONS], [vf(), sub_function()._replace(driver=None)], {})
    assert ids(found) == {SUB_FUNCTIONS.name: []}


def test_a_refused_device_has_the_reasons_of_all_resources() -> None:
    found = assign([KERNEL, DPDK], [vf(driver="igb_uio")], {})
    assert found.refused == {
        vf().id: "intel.com/kernel: drivers: bound to igb_uio, wanted is iavf; "
        "intel.com/dpdk: drivers: bound to igb_uio, wanted is vfio-pci"
    }


def test_without_resources_that_is_the_reason() -> None:
    assert assign([], [vf()], {}) == Assignment({}, {vf().id: "no resource is configured"}, {})


def test_one_line_tells_what_a_resource_got_and_which_keys_refused() -> None:
    selectors = (Selector(vendors=("8086",), drivers=("iavf",)),)
    either = (Selector(vendors=("15b3",)), Selector(drivers=("iavf",)))
    resources = [
        Resource("a.b/one", selectors),
        Resource("a.b/two", either),
        Resource("a.b/three", (Selector(),)),
    ]
    others = [infiniband_vf(0), infiniband_vf(1), vf(1, driver="vfio-pci")]
    found = assign(resources, [vf(0), *others], {})
    assert [summary(found, resource.name) for resource in resources] == [
        "a.b/one: devices: 1; refused: 2 by vendors, 1 by drivers",
        "a.b/two: devices: 2; refused: 1 by vendors and drivers",
        "a.b/three: devices: 1; refused: none",
    ]


def test_what_a_pod_holds_stays_with_its_resource() -> None:
    rebound = vf(driver="vfio-pci")
    held = {rebound.id: KERNEL.name}
    found = assign([DPDK, KERNEL], [rebound, vf(1, driver="vfio-pci")], held)
    assert ids(found) == {DPDK.name: [vf(1).id], KERNEL.name: [rebound.id]}
    assert found.taken[KERNEL.name][rebound.id] == KERNEL.selectors[0]


def test_what_a_pod_holds_has_the_selector_that_takes_it() -> None:
    selectors = (Selector(drivers=("vfio-pci",)), Selector(drivers=("iavf",)))
    two = Resource("a.b/c", selectors)
    found = assign([ALL, two], [vf()], {vf().id: two.name})
    assert found.taken == {ALL.name: {}, two.name: {vf().id: selectors[1]}}


def test_what_a_pod_holds_of_a_resource_that_is_gone_is_nobodys() -> None:
    found = assign([ALL], [vf()], {vf().id: "intel.com/gone", "gpu-0": "example.com/gpu"})
    assert ids(found) == {ALL.name: []}
    said = "a pod has it as intel.com/gone, and no such resource is configured"
    assert found.refused == {vf().id: said}


@pytest.mark.parametrize(
    "device",
    [pf(), vf(driver=None), vf()._replace(use=Use(State.HOST, "address")), sub_function()],
    ids=["PF with VFs", "no driver", "host use", "sub-function"],
)
def test_what_a_pod_holds_stays_whatever_it_is(device: Device) -> None:
    found = assign([ALL], [device], {device.id: ALL.name})
    assert ids(found) == {ALL.name: [device.id]}


selectors = st.builds(
    Selector,
    vendors=st.sampled_from([(), ("8086",), ("15b3",)]),
    drivers=st.sampled_from([(), ("iavf",), ("vfio-pci", "mlx5_core")]),
    pf_names=st.sampled_from(
        [(), (Members("eth0"), Members("ETH1", ((1, 9),))), (Members("p0", ((9, 9),)),)]
    ),
    link_types=st.sampled_from([(), ("ether",), ("infiniband",)]),
)
names = st.sampled_from(["a.b/one", "a.b/two", "a.b/three"])
resources = st.lists(
    st.builds(
        Resource, names, st.lists(selectors, min_size=1, max_size=3).map(tuple), st.booleans()
    ),
    max_size=3,
    unique_by=lambda resource: resource.name,
)
holdings = st.dictionaries(st.sampled_from([device.id for device in DEVICES]), names, max_size=4)


@given(resources, holdings, st.randoms(use_true_random=False))
def test_each_device_is_at_one_place_whatever_the_order(
    listed: list[Resource], held: dict[str, str], chance: random.Random
) -> None:
    found = assign(listed, DEVICES, held)
    places = [device for devices in found.taken.values() for device in devices]
    assert sorted([*places, *found.refused]) == sorted(device.id for device in DEVICES)
    assert not any(places.count(device) > 1 for device in places)
    assert [*found.taken] == [resource.name for resource in listed]
    for device, name in held.items():
        assert device in found.taken.get(name, found.refused)
    shuffled = chance.sample(DEVICES, len(DEVICES))
    again = assign(listed, shuffled, held)
    assert (again, ids(again)) == (found, ids(found))

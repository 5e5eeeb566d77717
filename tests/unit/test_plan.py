# SPDX-License-Identifier: Apache-2.0
"""The plan: which steps lead from what a node is to what its file wants, and which are not taken.

`World` takes steps as the kernel does, so that what follows from plans can be seen: that each
prefix is a state from which the next plan goes on, and that nobody's VF goes.
"""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_node.preparation.facts import Facts, Pf, Vf
from sriov_node.preparation.plan import plan, plan_pf, unprepared
from sriov_node.preparation.step import Action, Plan, Step
from sriov_node.preparation.wanted import Eswitch, Match, Wanted, WantedNode

PF = "0000:3b:00.0"
NAME = "ens1f0"
BY_NAME = Match(pf=NAME)
VFIO = "vfio-pci"
HALF_VFIO = ((((0, 1),), VFIO),)


def address(number: int) -> str:
    return f"0000:3b:02.{number}"


def vfs(*drivers: str | None) -> tuple[Vf, ...]:
    """VFs with these drivers, those of vfio-pci reserved for it."""
    return tuple(
        Vf(address(n), n, driver, VFIO if driver == VFIO else "")
        for n, driver in enumerate(drivers)
    )


def card(*drivers: str | None, **more: object) -> Pf:
    """A PF with VFs with these drivers."""
    settings: dict[str, object] = {
        **{"driver": "ice", "total_vfs": 8, "mtu": 1500, "is_up": True},
        **more,
    }
    return Pf(PF, "8086", "1592", (NAME,), vfs=vfs(*drivers), **settings)  # type: ignore[arg-type]


def node(*pfs: Pf, **more: object) -> Facts:
    drivers = frozenset({"ice", "iavf", VFIO})
    settings: dict[str, object] = {"drivers": drivers, **more}
    return Facts({pf.address: pf for pf in pfs}, **settings)  # type: ignore[arg-type]


def wants(match: Match = BY_NAME, **more: object) -> WantedNode:
    return WantedNode((Wanted(match, "node.json: functions[0]", **more),))  # type: ignore[arg-type]


def words(found: Plan) -> list[str]:
    """The steps, one short line each."""
    return [
        " ".join(filter(None, (s.action.value, "" if s.vf is None else f"VF {s.vf}", s.value)))
        for s in found.steps
    ]


class World:
    """One PF that does what steps say, as drivers and the PCI bus do."""

    def __init__(self, pf: Pf, kernel_driver: str = "iavf") -> None:
        self.pf = pf
        self.kernel_driver = kernel_driver
        self.drivers = frozenset({"ice", "mlx5_core", *(vf.driver or "" for vf in pf.vfs)})
        self.gone: set[str] = set()

    @property
    def facts(self) -> Facts:
        return Facts({self.pf.address: self.pf}, self.drivers)

    def take(self, step: Step) -> None:
        pf = self.pf
        if step.action is Action.LOAD:
            self.drivers |= {step.value}
        elif step.action is Action.AUTOPROBE:
            self.pf = pf._replace(autoprobe=step.value == "1")
        elif step.action is Action.COUNT:
            assert not (pf.vfs and int(step.value)), "EBUSY: from n to m VFs only by way of 0"
            self.gone |= {vf.address for vf in pf.vfs}
            driver = self.kernel_driver if pf.autoprobe else None
            self.pf = pf._replace(vfs=vfs(*[driver] * int(step.value)))
        elif step.action is Action.ESWITCH:
            if pf.driver == "ice":
                assert not pf.vfs, "EOPNOTSUPP: changing the eswitch mode needs 0 VFs"
            assert all(vf.driver is None for vf in pf.vfs), "VFs must be unbound"
            self.pf = pf._replace(eswitch=Eswitch(step.value))
        elif step.action is Action.MTU:
            self.pf = pf._replace(mtu=int(step.value))
        elif step.action is Action.UP:
            self.pf = pf._replace(is_up=True)
        else:
            assert step.vf is not None
            vf = pf.vfs[step.vf]
            changed = (*pf.vfs[: vf.number], self._after(vf, step), *pf.vfs[vf.number + 1 :])
            self.pf = pf._replace(vfs=changed)

    def _after(self, vf: Vf, step: Step) -> Vf:
        if step.action is Action.OVERRIDE:
            return vf._replace(override=step.value)
        if step.action is Action.UNBIND:
            return vf._replace(driver=None)
        assert step.action is Action.PROBE
        if vf.override:
            assert vf.override in self.drivers, "the driver is not loaded"
            return vf._replace(driver=vf.override)
        assert self.pf.autoprobe, "without autoprobe a VF is only probed for its override"
        return vf._replace(driver=self.kernel_driver)


def test_what_is_as_wanted_needs_no_step() -> None:
    found = plan(wants(vfs=4, mtu=1500, drivers=HALF_VFIO), node(card(VFIO, VFIO, "iavf", "iavf")))
    assert found == Plan(pfs=(PF,))
    assert found.is_reached


def test_a_bare_card_gets_its_vfs_and_is_brought_up() -> None:
    assert words(plan(wants(vfs=4), node(card(is_up=False)))) == ["set VFs 4", "bring up"]


def test_vfs_for_vfio_are_never_probed_by_their_kernel_driver() -> None:
    assert words(plan(wants(vfs=3, drivers=HALF_VFIO), node(card(), drivers=frozenset()))) == [
        "load module vfio-pci",
        "set autoprobe 0",
        "set VFs 3",
        "reserve for driver VF 0 vfio-pci",
        "reserve for driver VF 1 vfio-pci",
        "set autoprobe 1",
        "bind VF 0 vfio-pci",
        "bind VF 1 vfio-pci",
        "bind VF 2 kernel",
    ]


def test_another_number_of_vfs_goes_by_way_of_none() -> None:
    found = plan(wants(vfs=4), node(card("iavf", "iavf")))
    assert words(found) == ["set VFs 0", "set VFs 4"]
    assert [step.cost for step in found.steps] == ["its 2 VFs go", ""]


def test_no_vfs_are_wanted() -> None:
    assert words(plan(wants(vfs=0), node(card("iavf", is_up=False)))) == ["set VFs 0"]


def test_only_vfs_with_a_wrong_driver_are_bound_anew() -> None:
    found = plan(wants(vfs=3, drivers=HALF_VFIO), node(card("iavf", VFIO, VFIO)))
    assert words(found) == [
        "reserve for driver VF 0 vfio-pci",
        "reserve for driver VF 2",
        "unbind VF 0",
        "bind VF 0 vfio-pci",
        "unbind VF 2",
        "bind VF 2 kernel",
    ]


@pytest.mark.parametrize("number", [2, 0])
def test_a_vf_in_use_keeps_all_vfs_of_its_card(number: int) -> None:
    uses = {address(number): ("belongs to c1/net1 until its DEL", "is kubelet's pod a/b's")}
    found = plan(wants(vfs=4), node(card("iavf", "iavf", "iavf"), uses=uses))
    assert found.steps == ()
    (refusal,) = found.refusals
    assert (refusal.vf, refusal.address, refusal.uses) == (
        number,
        address(number),
        uses[address(number)],
    )
    assert refusal.step == "go: it has 3 VFs, not 4, and a card takes all its VFs back at once"


def test_a_card_that_another_process_prepares_is_left_to_it_and_the_others_are_not() -> None:
    other = card()._replace(address="0000:5e:00.0", names=("ens2f0",))
    wanted = WantedNode((*wants(vfs=4).functions, *wants(Match(pf="ens2f0"), vfs=4).functions))
    found = plan(wanted, node(card("iavf"), other, preparing=frozenset({PF})))
    assert [step.pf for step in found.steps] == [other.address]
    (refusal,) = found.refusals
    assert (refusal.address, refusal.uses) == (PF, ("is being prepared by another process",))


def test_a_vf_in_use_keeps_its_driver_and_the_free_ones_change() -> None:
    uses = {address(0): ("belongs to c1/net1 until its DEL",)}
    found = plan(wants(vfs=2, drivers=HALF_VFIO), node(card("iavf", "iavf"), uses=uses))
    assert words(found) == ["reserve for driver VF 1 vfio-pci", "unbind VF 1", "bind VF 1 vfio-pci"]
    assert [refusal.step for refusal in found.refusals] == ["go from iavf to vfio-pci"]


def test_a_reservation_that_binds_nothing_anew_is_made_of_a_vf_in_use_too() -> None:
    pf = card(VFIO)._replace(vfs=(Vf(address(0), 0, VFIO, ""),))
    found = plan(
        wants(vfs=1, drivers=HALF_VFIO[:1]), node(pf, uses={address(0): ("is open in qemu",)})
    )
    assert words(found) == ["reserve for driver VF 0 vfio-pci"]
    assert found.refusals == ()


def test_a_pf_in_a_pod_is_left_alone() -> None:
    pf = card(mtu=None, is_up=None)._replace(names=())
    found = plan(wants(Match(address=PF), vfs=4), node(pf, uses={PF: ("belongs to c1/net1",)}))
    assert found.steps == ()
    assert [refusal.step for refusal in found.refusals] == ["be prepared"]


def test_a_pf_without_driver_gets_that_first() -> None:
    pf = card(driver=None, mtu=None, is_up=None)._replace(names=())
    found = plan(wants(Match(address=PF), vfs=4), node(pf))
    assert words(found) == ["load module", "bind PF"]


def test_modules_that_are_named_are_loaded() -> None:
    found = plan(WantedNode(modules=("vhost-net", "tun")), node(modules=frozenset({"tun"})))
    assert words(found) == ["load module vhost-net"]
    assert (
        plan(WantedNode(modules=("vhost-net",)), node(modules=frozenset({"vhost_net"}))) == Plan()
    )


def test_an_mtu_is_set_and_says_what_it_costs() -> None:
    (step,) = plan(wants(mtu=9000), node(card("iavf"))).steps
    assert (step.action, step.value, step.reason) == (Action.MTU, "9000", "it is 1500")
    assert step.cost == "its port may pause"


def test_ice_changes_its_mode_while_there_are_no_vfs() -> None:
    found = plan(
        wants(vfs=2, eswitch=Eswitch.SWITCHDEV), node(card("iavf", eswitch=Eswitch.LEGACY))
    )
    assert words(found) == ["set VFs 0", "set eswitch switchdev", "set VFs 2"]


def test_other_drivers_change_their_mode_with_vfs_that_nobody_has_bound() -> None:
    pf = card(driver="mlx5_core", eswitch=Eswitch.LEGACY)
    assert words(plan(wants(vfs=2, eswitch=Eswitch.SWITCHDEV), node(pf))) == [
        "set autoprobe 0",
        "set VFs 2",
        "set eswitch switchdev",
        "set autoprobe 1",
        "bind VF 0 kernel",
        "bind VF 1 kernel",
    ]


def test_another_number_of_vfs_in_switchdev_mode_goes_by_way_of_legacy() -> None:
    pf = card("mlx5_core", driver="mlx5_core", eswitch=Eswitch.SWITCHDEV)
    assert words(plan(wants(vfs=2), node(pf)))[:5] == [
        "set autoprobe 0",
        "set VFs 0",
        "set eswitch legacy",
        "set VFs 2",
        "set eswitch switchdev",
    ]


def test_the_hosts_own_use_of_a_pf_keeps_its_mode() -> None:
    pf = card(eswitch=Eswitch.LEGACY, host_use="(ens1f0) has the address 10.0.0.1")
    found = plan(wants(eswitch=Eswitch.SWITCHDEV), node(pf))
    assert [refusal.step for refusal in found.refusals] == ["change its eswitch mode"]
    assert words(plan(wants(vfs=2), node(pf))) == ["set VFs 2"]


@pytest.mark.parametrize(
    ("wanted", "facts", "says"),
    [
        (wants(vfs=9), node(card()), "can have 8 VFs, and vfs is 9"),
        (wants(vfs=1), node(card(driver=VFIO)), "is bound to vfio-pci, and VFs need its network"),
        (wants(eswitch=Eswitch.SWITCHDEV), node(card()), "its driver ice knows none"),
        (wants(vfs=2, drivers=HALF_VFIO), node(card(), has_iommu=False), "there is no IOMMU"),
        (wants(vfs=1, externally_managed=True), node(card()), "has 0 VFs, fewer than vfs, 1"),
        (wants(mtu=9000, externally_managed=True), node(card()), "MTU 1500, less than mtu, 9000"),
        (
            wants(eswitch=Eswitch.SWITCHDEV, externally_managed=True),
            node(card(eswitch=Eswitch.LEGACY)),
            "eswitch mode legacy, not switchdev",
        ),
        (wants(Match(pf="ens9")), node(card()), f"no PF has pf ens9; there are {NAME} ({PF})"),
        (wants(Match(pf="ens9")), node(), "this node has no PF"),
        (
            wants(Match(vendor="8086")),
            node(card(), card()._replace(address="0000:3b:00.1", names=("ens1f1",))),
            "vendor 8086 is ambiguous: ens1f0 (0000:3b:00.0), ens1f1 (0000:3b:00.1)",
        ),
    ],
)
def test_what_cannot_be_had_is_said_and_changes_nothing(
    wanted: WantedNode, facts: Facts, says: str
) -> None:
    found = plan(wanted, facts)
    assert (found.steps, found.refusals) == ((), ())
    (fault,) = found.faults
    assert fault.startswith("node.json: functions[0]: ")
    assert says in fault


def test_two_entries_cannot_have_one_pf() -> None:
    (one,) = wants(vfs=1).functions
    other = Wanted(Match(address=PF), "more.json: functions[0]", vfs=2)
    found = plan(WantedNode((one, other)), node(card()))
    assert words(found) == ["set VFs 1"]
    assert found.faults == (
        f"more.json: functions[0]: {NAME} ({PF}) is wanted by node.json: functions[0] already",
    )


def test_vfs_that_somebody_else_makes_are_only_bound() -> None:
    wanted = wants(vfs=2, mtu=1400, drivers=HALF_VFIO, externally_managed=True)
    found = plan(wanted, node(card("iavf", VFIO, "iavf", is_up=False, autoprobe=False)))
    assert words(found) == [
        "reserve for driver VF 0 vfio-pci",
        "unbind VF 0",
        "bind VF 0 vfio-pci",
    ]


def test_vfio_without_iommu_is_had_only_if_asked_for() -> None:
    wanted = wants(vfs=2, drivers=HALF_VFIO, no_iommu=True)
    found = plan(wanted, node(card(), has_iommu=False))
    assert words(found)[0] == "allow vfio without IOMMU 1"
    assert words(plan(wanted, node(card(), has_iommu=False, no_iommu=True)))[0] == "set autoprobe 0"


def test_a_reset_takes_vfs_mode_and_reservations_back() -> None:
    pf = card("iavf", VFIO, eswitch=Eswitch.SWITCHDEV)
    assert words(plan_pf(unprepared(pf), pf, node(pf))) == ["set VFs 0", "set eswitch legacy"]
    used = node(pf, uses={address(1): ("is open in qemu",)})
    refused = plan_pf(unprepared(pf), pf, used)
    assert (len(refused.refusals), [s for s in refused.steps if s.action is Action.COUNT]) == (
        1,
        [],
    )


DRIVERS = st.sampled_from(["iavf", VFIO, None])
PFS = st.builds(
    lambda drivers, driver, autoprobe, mode, overrides: card(
        driver=driver, autoprobe=autoprobe, eswitch=mode, is_up=False
    )._replace(
        vfs=tuple(
            Vf(address(n), n, None if mode and driver != "ice" else vf, VFIO if override else "")
            for n, (vf, override) in enumerate(zip(drivers, overrides, strict=False))
        )
    ),
    st.lists(DRIVERS, max_size=7),
    st.sampled_from(["ice", "mlx5_core"]),
    st.booleans(),
    st.sampled_from([None, *Eswitch]),
    st.lists(st.booleans(), min_size=7, max_size=7),
)
WANTED = st.builds(
    lambda count, kinds, mode, mtu: Wanted(
        BY_NAME,
        "here",
        vfs=count,
        mtu=mtu,
        eswitch=mode,
        drivers=tuple((((n, n),), VFIO) for n, kind in enumerate(kinds) if kind),
    ),
    st.one_of(st.none(), st.integers(0, 7)),
    st.lists(st.booleans(), max_size=7),
    st.sampled_from([None, *Eswitch]),
    st.sampled_from([None, 1500, 9000]),
)


def prefixes(pf: Pf, wanted: Wanted) -> Iterator[World]:
    """Worlds in which the first steps of a plan were taken, from none of them to all."""
    steps = plan_pf(wanted, pf, World(pf).facts).steps
    for end in range(len(steps) + 1):
        world = World(pf)
        for step in steps[:end]:
            world.take(step)
        yield world


@given(PFS, WANTED)
def test_from_every_prefix_of_every_plan_the_next_plans_reach_what_is_wanted(
    pf: Pf, wanted: Wanted
) -> None:
    for world in prefixes(pf, wanted):
        for _ in range(3):
            found = plan_pf(wanted, world.pf, world.facts)
            for step in found.steps:
                world.take(step)
        found = plan_pf(wanted, world.pf, world.facts)
        assert found.steps == ()
        if not found.faults:
            assert wanted.vfs in (None, len(world.pf.vfs))
            for vf in world.pf.vfs:
                expected = wanted.driver_of(vf.number)
                assert vf.driver == ("iavf" if expected == "kernel" else expected)


@given(PFS, WANTED, st.sets(st.integers(0, 6)))
def test_no_step_takes_a_vf_in_use_away(pf: Pf, wanted: Wanted, used: set[int]) -> None:
    used &= {vf.number for vf in pf.vfs}
    uses = {address(n): ("is in use",) for n in used}
    world = World(pf)
    facts = world.facts._replace(uses=uses)
    for step in plan_pf(wanted, pf, facts).steps:
        assert step.action not in (Action.UNBIND, Action.PROBE) or step.vf not in used
        assert not (used and step.action in (Action.COUNT, Action.ESWITCH))
        world.take(step)
    assert not {address(n) for n in used} & world.gone

# SPDX-License-Identifier: Apache-2.0
"""All network functions of this node: PFs, VFs, other network cards, and sub-functions.

For programs that look at a whole node, again and again. A CNI call asks pci.py about one function
instead. What cannot change while a device exists is read once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sriov_cni.kernel import bus

_NETWORK = 0x02  # the base class of network controllers (PCI Code and ID Assignment, 1.3)
_SUB_FUNCTION = "sf"


class Function(NamedTuple):
    """What stays as it is while a device exists.

    `id` is its PCI address, or the name on the auxiliary bus of a sub-function, of which `address`
    is that of the function it is part of. `vendor` and `model` are four hexadecimal digits.
    `number` is a VF's index under its PF, or a sub-function's sfnum. `pf` is the PF's address; a PF
    and a VF inside a virtual machine have none. `aux_type` is None on the PCI bus.
    """

    id: str
    address: str
    vendor: str
    model: str
    class_code: int
    pf: str | None
    number: int | None
    numa_node: int | None
    acpi_index: str | None
    aux_type: str | None
    is_pf: bool


class Condition(NamedTuple):
    """A function as it was at one moment.

    `netdevs` and `rdma` are the names of its devices in this network namespace; those of a PF in
    switchdev mode have its representors among them. `link_kind` is its first network device's
    (include/uapi/linux/if_arp.h).
    """

    function: Function
    driver: str | None
    iommu_group: int | None
    netdevs: tuple[str, ...]
    link_kind: int | None
    rdma: tuple[str, ...]
    enabled_vfs: int


class Functions:
    """The network functions of this node; remembers what does not change of each."""

    def __init__(self) -> None:
        self._instances: dict[str, int] = {}
        self._known: dict[str, Function | None] = {}  # None: no network function
        self._conditions: dict[str, Condition] = {}
        self._kinds: dict[tuple[Function, str], int | None] = {}  # of network devices

    def look(self) -> tuple[dict[str, Condition], list[str]]:
        """Return all functions by ID, in the order of those, and the other network devices' names.

        A device of which something makes no sense is left out. Raises KernelError if sysfs itself
        cannot be read.
        """
        pci, auxiliary = bus.pci_devices(), bus.auxiliary_devices()
        instances = pci | auxiliary
        same = (d for d in self._known if instances.get(d) == self._instances[d])
        self._known = {device: self._known[device] for device in same}
        self._instances = instances
        uncertain = self._learn(pci.keys() - self._known.keys())
        self._learn_parts(auxiliary.keys() - self._known.keys(), uncertain)
        everything = self._known | uncertain
        functions = {d: f for d, f in sorted(everything.items()) if f is not None}
        netdevs, others = _by_owner("net", functions)
        rdma, _ = _by_owner("infiniband", functions)
        drivers = bus.drivers()
        vfs = Counter(f.pf for f in functions.values() if f.aux_type is None)
        self._kinds = {
            (functions[device], names[0]): self._kind(functions[device], names[0])
            for device, names in netdevs.items()
        }
        self._conditions = {
            device: Condition(
                function,
                drivers.get(device),
                bus.iommu_group(device) if function.aux_type is None else None,
                netdevs.get(device, ()),
                self._kinds[function, netdevs[device][0]] if device in netdevs else None,
                rdma.get(device, ()),
                vfs[device] if function.is_pf else 0,
            )
            for device, function in functions.items()
        }
        return self._conditions, others

    def changed(self) -> bool:
        """Tell whether devices came or went, or changed their drivers, since the last look."""
        if bus.pci_devices() | bus.auxiliary_devices() != self._instances:
            return True
        drivers = bus.drivers()
        return any(drivers.get(device) != was.driver for device, was in self._conditions.items())

    def _learn(self, addresses: Iterable[str]) -> dict[str, Function]:
        """Read what is not known yet of PCI devices; return what is not certain enough to keep.

        A VF is on the bus a moment before it is linked to its PF, and looks like any card then.
        """
        indexes: dict[str, dict[str, int]] = {}  # by PF
        uncertain: dict[str, Function] = {}
        for address in addresses:
            identity = bus.identify(address)
            if identity is None:
                continue
            if identity.class_code >> 16 != _NETWORK:
                self._known[address] = None
                continue
            pf = bus.physical_function(address)
            if pf is not None and pf not in indexes:
                indexes[pf] = bus.virtual_functions(pf)
            number = indexes[pf].get(address) if pf is not None else None
            function = Function(
                id=address,
                address=address,
                vendor=identity.vendor,
                model=identity.model,
                class_code=identity.class_code,
                pf=pf,
                number=number,
                numa_node=bus.numa_node(address),
                acpi_index=bus.acpi_index(address),
                aux_type=None,
                is_pf=pf is None and bus.total_vfs(address) is not None,
            )
            certain = function.is_pf or number is not None
            (self._known if certain else uncertain)[address] = function
        return uncertain

    def _learn_parts(self, names: Iterable[str], uncertain: Mapping[str, Function]) -> None:
        """Read what is not known yet of auxiliary devices: sub-functions of known functions."""
        for name in names:
            aux_type = name.split(".")[-2]
            if aux_type != _SUB_FUNCTION:
                self._known[name] = None
                continue
            address = bus.parent(name)
            whole = self._known.get(address or "") or uncertain.get(address or "")
            number = bus.sub_function_number(name)
            if whole is not None and number is not None:
                self._known[name] = whole._replace(
                    id=name,
                    pf=whole.pf or whole.id,
                    number=number,
                    acpi_index=None,
                    aux_type=aux_type,
                    is_pf=False,
                )

    def _kind(self, function: Function, netdev: str) -> int | None:
        known = self._kinds.get((function, netdev))
        return known if known is not None else bus.link_kind(netdev)


def _by_owner(
    kind: str, functions: Mapping[str, Function]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the names of a class's devices by the function they are of, and those of none."""
    owned: dict[str, list[str]] = {}
    others: list[str] = []
    for name, above in sorted(bus.members(kind).items()):
        owner = next((device for device in above if device in functions), None)
        if owner is None:
            others.append(name)
        else:
            owned.setdefault(owner, []).append(name)
    return {owner: tuple(names) for owner, names in owned.items()}, others

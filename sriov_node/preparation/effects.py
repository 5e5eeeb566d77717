# SPDX-License-Identifier: Apache-2.0
"""Taking a step: what each action does to the kernel. Nothing here asks whether it may be done.

A step that is taken twice does nothing the second time.
"""

import errno
from collections.abc import Callable, Mapping
from contextlib import closing

from sriov_cni.kernel import bus, devlink, functions, links, modules, sysfs
from sriov_cni.kernel.errors import KernelError
from sriov_cni.kernel.links import Link
from sriov_cni.kernel.netlink import Socket
from sriov_cni.kernel.patience import patiently
from sriov_node.preparation.step import Action, Step
from sriov_node.preparation.wanted import KERNEL


def take(step: Step) -> None:
    """Take a step; raises KernelError, or ModuleError for a module that cannot be loaded."""
    _EFFECTS[step.action](step)


def _load(step: Step) -> None:
    modules.load(step.value or functions.modalias(step.pf))


def _allow_no_iommu(step: Step) -> None:
    functions.set_no_iommu()


def _bind_pf(step: Step) -> None:
    functions.probe(step.pf)
    if sysfs.driver(step.pf) is None:
        raise KernelError(errno.ENODEV, f"binding {step.pf} to the driver of its kind")


def _set_autoprobe(step: Step) -> None:
    functions.set_autoprobe(step.pf, step.value == "1")


def _set_count(step: Step) -> None:
    count = int(step.value)
    patiently(functions.set_vf_count, step.pf, count)
    found = len(bus.virtual_functions(step.pf))
    if found != count:
        raise KernelError(errno.EAGAIN, f"enabling {count} VFs of {step.pf}, of which {found} came")


def _set_eswitch(step: Step) -> None:
    devlink.set_mode("pci", step.pf, step.value)


def _reserve(step: Step) -> None:
    functions.set_override(_vf(step), step.value)


def _unbind(step: Step) -> None:
    functions.unbind(_vf(step))


def _probe(step: Step) -> None:
    address = _vf(step)
    functions.probe(address)
    if sysfs.driver(address) is None and step.value == KERNEL:
        modules.load(functions.modalias(address))  # without udev nobody else does
        functions.probe(address)
    driver = sysfs.driver(address)
    if driver is None or step.value not in (KERNEL, driver):
        wanted = "the driver of its kind" if step.value == KERNEL else step.value
        raise KernelError(errno.ENODEV, f"binding {address} to {wanted}")


def _set_mtu(step: Step) -> None:
    with closing(Socket()) as host:
        links.set_mtu(host, _netdev(host, step.pf), int(step.value))


def _bring_up(step: Step) -> None:
    with closing(Socket()) as host:
        links.set_up(host, _netdev(host, step.pf), True)


def _vf(step: Step) -> str:
    """Return the address of the VF that a step is about: the present one of that index."""
    for address, number in bus.virtual_functions(step.pf).items():
        if number == step.vf:
            return address
    raise KernelError(errno.ENODEV, f"looking for VF {step.vf} of {step.pf}")


def _netdev(host: Socket, pf: str) -> Link:
    """Return a PF's own network device; an eswitch's mode may have made another of it."""
    for name in sysfs.uplink_names(pf):
        if (link := links.find(host, name)) is not None:
            return link
    raise KernelError(errno.ENODEV, f"looking for the network device of {pf}")


_EFFECTS: Mapping[Action, Callable[[Step], None]] = {
    Action.LOAD: _load,
    Action.NO_IOMMU: _allow_no_iommu,
    Action.BIND_PF: _bind_pf,
    Action.AUTOPROBE: _set_autoprobe,
    Action.COUNT: _set_count,
    Action.ESWITCH: _set_eswitch,
    Action.OVERRIDE: _reserve,
    Action.UNBIND: _unbind,
    Action.PROBE: _probe,
    Action.MTU: _set_mtu,
    Action.UP: _bring_up,
}

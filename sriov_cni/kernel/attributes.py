# SPDX-License-Identifier: Apache-2.0
"""What sysfs says of one PCI function, as it says it: for those who look for a fault.

Nothing here is read under the device's lock, as `driver_override`, `sriov_numvfs` and
`sriov_vf_total_msix` are: a driver that hangs with a device is a fault to be found.

Addresses must be PCI addresses (sysfs.is_pci_address): they become parts of paths.
"""

import os
from contextlib import suppress

from sriov_cni.kernel import sysfs

_FILES = (
    *("class", "vendor", "device", "subsystem_vendor", "subsystem_device", "revision"),
    *("numa_node", "enable", "power_state", "acpi_index", "label"),
    *("current_link_speed", "current_link_width", "aer_dev_fatal", "aer_dev_nonfatal"),
    *("sriov_totalvfs", "sriov_offset", "sriov_stride", "sriov_vf_device"),
    "sriov_drivers_autoprobe",
)
_LINKS = ("driver", "physfn", "iommu_group")
_DIRECTORIES = ("net", "infiniband")
_LONGEST = 4096  # bytes; sysfs has no attribute above a page


def of_function(address: str) -> dict[str, str]:
    """Return the attributes of a function that can be read, by their names."""
    device = f"{sysfs.ROOT}/bus/pci/devices/{address}"
    found = {}
    for name in _FILES:
        with (
            suppress(OSError),
            open(f"{device}/{name}", encoding="utf-8", errors="replace") as file,
        ):
            found[name] = file.read(_LONGEST).strip()
    for name in _LINKS:
        with suppress(OSError):
            found[name] = os.path.basename(os.readlink(f"{device}/{name}"))
    for name in _DIRECTORIES:
        with suppress(OSError):
            found[name] = " ".join(sorted(os.listdir(f"{device}/{name}")))
    return found

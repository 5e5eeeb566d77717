# SPDX-License-Identifier: Apache-2.0
"""A program that uses a VF by vfio, as DPDK does: executed with the VF's address.

It says that it has the VF, and keeps it until its standard input ends
(Documentation/driver-api/vfio.rst; the numbers are those of include/uapi/linux/vfio.h).
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SET_IOMMU, _SET_CONTAINER, _GET_DEVICE_FD = 0x3B66, 0x3B68, 0x3B6A
_TYPE1_IOMMU = 1


@contextmanager
def using(address: str) -> Iterator[None]:
    """Have a program that uses a VF, which is bound to vfio-pci."""
    command = [sys.executable, "-m", "tests.vfio", address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"has it\n"
        try:
            yield
        finally:
            process.stdin.close()


def _use(address: str) -> None:
    group = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{address}/iommu_group"))
    container = os.open("/dev/vfio/vfio", os.O_RDWR)
    device_group = os.open(f"/dev/vfio/{group}", os.O_RDWR)
    fcntl.ioctl(device_group, _SET_CONTAINER, container.to_bytes(4, sys.byteorder))
    fcntl.ioctl(container, _SET_IOMMU, _TYPE1_IOMMU)
    fcntl.ioctl(device_group, _GET_DEVICE_FD, address.encode())
    print("has it", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _use(sys.argv[1])

# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: open one by path, and open a netlink socket inside it."""

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import NamedTuple

from sriov_cni.kernel.errors import KernelError, as_change, as_kernel_errors
from sriov_cni.kernel.netlink import Socket

_CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG)
_SWITCHED_ON = (
    "ipv4/conf/{}/arp_notify",
    "ipv6/conf/{}/ndisc_notify",
    "ipv6/conf/{}/optimistic_dad",
)
_NS_GET_NSTYPE = 0xB703  # include/uapi/linux/nsfs.h


class NotANamespaceError(Exception):
    """A path that should name a pod's network namespace names something else; says what."""


class Pod(NamedTuple):
    """A pod's network namespace: its descriptor, and a netlink socket inside it."""

    namespace: int
    socket: Socket


@contextmanager
def pod_at(path: str) -> Iterator[Pod]:
    """Open the network namespace at `path` for the length of a with-statement.

    The process itself does not stay there. Raises NotANamespaceError if there is none, or if it is
    the host's: a device "moved" there would stay on the host.
    """
    namespace = _open(path)
    try:
        with inside(namespace):
            sock = Socket()
        try:
            yield Pod(namespace, sock)
        finally:
            sock.close()
    finally:
        os.close(namespace)


def exists(path: str) -> bool:
    """Tell whether there is another network namespace than the host's at `path`."""
    try:
        os.close(_open(path))
    except NotANamespaceError:
        return False
    return True


@cache
def host() -> int:
    """Return a descriptor of the host's network namespace: the one this process was started in.

    Opened before any other is entered, and kept: should the way back from a pod ever fail, the
    pod must not pass for the host.
    """
    with as_kernel_errors("opening the host's network namespace"):
        return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def prepare(pod: Pod, netdev: str, *, ipv6: bool) -> None:
    """Set up a pod's device for addresses; `ipv6`: for such ones, too.

    As far as the kernel can, it is to tell neighbours itself when the device's MAC changes or it
    comes up again, and to use IPv6 addresses while they are still verified (RFC 4429): Ubuntu
    builds its kernels without CONFIG_IPV6_OPTIMISTIC_DAD, and some nodes have no IPv6. Runtimes
    disable IPv6 in the namespaces of single-stack clusters. Documentation/networking/ip-sysctl.rst.

    All of it ends when the device leaves the namespace. Raises KernelError: ENOENT where the kernel
    has no IPv6 for the device, but it is wanted.
    """
    with inside(pod.namespace):
        for setting in _SWITCHED_ON:
            with suppress(KernelError):
                _set(setting.format(netdev), "1")
        if ipv6:
            _set(f"ipv6/conf/{netdev}/disable_ipv6", "0")


def _set(setting: str, value: str) -> None:
    path = f"/proc/sys/net/{setting}"
    with as_change(f"writing {value} to {path}"):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)


def _open(path: str) -> int:
    try:
        # O_NONBLOCK: opening a FIFO somebody put there must not wait for a writer
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _ABSENT:
            # a path that cannot be looked at is not a path without a namespace
            raise KernelError(error.errno or 0, f"opening {path}") from None
        raise NotANamespaceError(f"{path} cannot be opened: {error.strerror}") from None
    except ValueError as error:
        raise NotANamespaceError(f"{path!r} is not a path: {error}") from None
    try:
        if reason := _why_not_a_pods(fd):
            raise NotANamespaceError(f"{path} is {reason}")
    except (KernelError, NotANamespaceError):
        os.close(fd)
        raise
    return fd


def _why_not_a_pods(fd: int) -> str | None:
    try:
        kind = fcntl.ioctl(fd, _NS_GET_NSTYPE)
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EINVAL):
            raise KernelError(error.errno or 0, "asking for the kind of a namespace") from None
        return "not a namespace"
    if kind != _CLONE_NEWNET:
        return "a namespace, but not a network namespace"
    if os.path.samestat(os.fstat(fd), os.fstat(host())):
        return "the host's own network namespace"
    return None


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Have this thread in another network namespace for the length of a with-statement."""
    home = host()
    _enter(namespace)
    try:
        yield
    finally:
        _enter(home)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)  # os.setns() came only with Python 3.12


def _enter(namespace: int) -> None:
    if _libc().setns(namespace, _CLONE_NEWNET) != 0:
        raise KernelError(ctypes.get_errno(), "entering a network namespace")

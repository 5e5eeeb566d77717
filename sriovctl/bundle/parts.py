# SPDX-License-Identifier: Apache-2.0
"""What is in a bundle: each part's name, where it comes from, and how it is taken."""

import asyncio
import http.client
import io
import json
import os
import platform
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from functools import partial
from typing import Any, NamedTuple

import click

from sriov_cni import __version__
from sriov_cni.kernel import attributes, sysfs
from sriov_cni.kernel.errors import KernelError
from sriov_node.inventory.device import Device, Snapshot
from sriov_node.inventory.scan import Inventory
from sriov_node.kubelet import holder
from sriovctl.places import Places

LARGEST = 1 << 20  # bytes of a part
_MOST_FILES = 2000  # of a directory
_LINES = "5000"
_AGENT = ("127.0.0.1", 9808)
_ANSWER = 2.0  # seconds
_UNITS = ("-u", "sriov-agent", "-u", "sriov-node")
_COMMANDS = ("status", "doctor", "vfs", "pfs", "attachments", "node plan")
_WORDS = ("sr-iov", "sriov", "vfio", "iommu", "dmar", "amd-vi")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Sources(NamedTuple):
    """Where to look: the tool's own places, and those of others on the node."""

    places: Places = Places()
    cni_configurations: str = "/etc/cni/net.d"
    leases: str = "/var/lib/cni/fixipam"
    agent: tuple[str, int] = _AGENT


class Part(NamedTuple):
    """A file of the bundle.

    `take` returns its content, or raises AbsentError or another Exception. `at_end`: of a content
    that is too long, the end is what matters.
    """

    name: str
    source: str
    take: Callable[[], bytes]
    at_end: bool = False


class AbsentError(Exception):
    """A part is not to be had, and says why."""


def parts(sources: Sources, root: click.Command) -> list[Part]:
    """Return all parts in the order of their names; `root` is the tool, for its own commands."""
    snapshot = _snapshot(sources.places.data_dir)
    found = [
        Part("versions.json", "releases of what is involved", _versions),
        Part("devices.json", "sysfs", partial(_devices, snapshot)),
        Part("leases.json", sources.leases, partial(_leases, sources.leases)),
        Part("kubelet.json", "kubelet's pod resources", partial(_allocations, sources.places)),
        Part("metrics.txt", "the agent's metrics", partial(_metrics, sources.agent)),
        Part("kernel/messages.txt", "dmesg, of SR-IOV", partial(_messages, snapshot), at_end=True),
        *(_file(f"kernel/{name}.txt", f"/proc/{name}") for name in ("cmdline", "modules")),
        _file("os-release.txt", "/etc/os-release"),
        _program("network/links.json", "ip", "-d", "-j", "link", "show"),
        _program("network/addresses.json", "ip", "-d", "-j", "address", "show"),
        _program("network/routes4.json", "ip", "-j", "route", "show", "table", "all"),
        _program("network/routes6.json", "ip", "-6", "-j", "route", "show", "table", "all"),
        _program("pci.txt", "lspci", "-nnk"),
        _program("devlink/info.json", "devlink", "-j", "dev", "info"),
        _program("journal.txt", "journalctl", "--no-pager", "-q", "-n", _LINES, *_UNITS),
        *_files(sources),
    ]
    for address in snapshot.pfs:
        words = ("-j", "dev", "eswitch", "show", f"pci/{address}")
        found.append(_program(f"devlink/eswitch-{address}.json", "devlink", *words))
    for command in _COMMANDS:
        take = partial(_own, root, sources.places, command)
        found.append(
            Part(f"sriovctl/{command.split()[-1]}.json", f"sriovctl {command} -o json", take)
        )
    return sorted(found, key=lambda part: part.name)


def _snapshot(data_dir: str) -> Snapshot:
    try:
        return Inventory(data_dir, keeps=False).scan()
    except KernelError:  # the parts say so one by one
        return Snapshot()


def _files(sources: Sources) -> Iterator[Part]:
    """Yield the configuration files, and the records."""
    places = sources.places
    yield _file("configuration/config.json", places.config_file)
    yield from _directory("configuration/node", places.config_dir, "node.json")
    yield from _directory("configuration/node", f"{places.config_dir}/node.d", ".json")
    yield from _directory("records", places.data_dir, "")
    yield from _directory("records/pci", f"{places.data_dir}/pci", "")
    for directory in (sources.cni_configurations, f"{sources.cni_configurations}/multus.d"):
        for part in _directory("cni", directory, (".conf", ".conflist", ".json")):
            yield part._replace(take=partial(_json_only, part.source))


def _directory(name: str, directory: str, ending: str | tuple[str, ...]) -> Iterator[Part]:
    with suppress(OSError):
        names = sorted(each for each in os.listdir(directory) if each.endswith(ending))
        for each in names[:_MOST_FILES]:
            path = f"{directory}/{each}"
            if each != "lock" and "kubeconfig" not in each and os.path.isfile(path):
                yield _file(f"{name}/{each}", path)
        if len(names) > _MOST_FILES:
            count = len(names) - _MOST_FILES
            yield Part(f"{name}/others", directory, partial(_too_many, count))


def _too_many(count: int) -> bytes:
    raise AbsentError(f"{count} more files are left out")


def _file(name: str, path: str) -> Part:
    return Part(name, path, partial(_read, path))


def _read(path: str) -> bytes:
    # O_NONBLOCK: opening a FIFO must not wait for a writer
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise AbsentError("it is no file")
        return file.read(LARGEST + 1) or b""


def _json_only(path: str) -> bytes:
    """Return a CNI configuration; what is no JSON may be anything, a kubeconfig among it."""
    content = _read(path)
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        raise AbsentError("it is not JSON, and may hold secrets") from None
    return content


def _program(name: str, program: str, *words: str) -> Part:
    source = " ".join((program, *words))
    return Part(name, source, partial(_run, program, *words), at_end=program == "journalctl")


def _run(program: str, *words: str) -> bytes:
    path = shutil.which(program, path=_PATH)
    if path is None:
        raise AbsentError(f"there is no {program}")
    # not with the libraries that this program is bundled with
    environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8"}
    ended = subprocess.run(  # noqa: S603
        [path, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise AbsentError(f"{program} ended with {ended.returncode}: {' '.join(said[-1:])}")
    return ended.stdout


def _versions() -> bytes:
    kernel = os.uname()
    found = {
        "sriov-cni": __version__,
        "python": platform.python_version(),
        "kernel": f"{kernel.sysname} {kernel.release} {kernel.version} {kernel.machine}",
        "libc": os.confstr("CS_GNU_LIBC_VERSION") or "unknown",
    }
    for program in ("kubelet", "containerd", "crio", "ip", "devlink"):
        with suppress(AbsentError, OSError):
            flag = "-V" if program in ("ip", "devlink") else "--version"
            found[program] = _run(program, flag).decode(errors="replace").strip()
    return _json(found)


def _devices(snapshot: Snapshot) -> bytes:
    pci = (each for each in snapshot.devices.values() if sysfs.is_pci_address(each.id))
    return _json({each.id: attributes.of_function(each.id) for each in pci})


def _leases(directory: str) -> bytes:
    """Return the files of leases with their contents, which few have."""
    found: dict[str, str] = {}
    for path, _, names in sorted(os.walk(directory)):
        for name in sorted(names)[:_MOST_FILES]:
            with suppress(OSError, AbsentError):
                relative = os.path.relpath(f"{path}/{name}", directory)
                found[relative] = _read(f"{path}/{name}").decode(errors="replace")
    if not found:
        raise AbsentError("there are none")
    return _json(found)


def _allocations(places: Places) -> bytes:
    holders = asyncio.run(holder.ask(places.kubelet_dir))
    if holders is None:
        raise AbsentError("kubelet does not answer")
    return _json({device: each._asdict() for device, each in sorted(holders.items())})


def _metrics(agent: tuple[str, int]) -> bytes:
    connection = http.client.HTTPConnection(*agent, timeout=_ANSWER)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise AbsentError(f"it answers with {answer.status} {answer.reason}")
        return answer.read(LARGEST + 1)
    finally:
        connection.close()


def _messages(snapshot: Snapshot) -> bytes:
    devices = snapshot.devices.values()
    words = {*_WORDS, *filter(None, (text for each in devices for text in _named(each)))}
    lines = _run("dmesg").splitlines(keepends=True)
    wanted = [word.lower().encode() for word in words]
    return b"".join(line for line in lines if any(word in line.lower() for word in wanted))


def _named(device: Device) -> Sequence[str]:
    """Return what the kernel's messages about a device have in them."""
    return device.id, device.driver or "", *device.netdevs


def _own(root: click.Command, places: Places, command: str) -> bytes:
    """Return what a command of this tool prints, whatever its exit code."""
    said = io.StringIO()
    options = [f"--{key.replace('_', '-')}={value}" for key, value in places._asdict().items()]
    with redirect_stdout(said):
        try:
            root.main([*options, *command.split(), "-o", "json"], "sriovctl", standalone_mode=False)
        except SystemExit:
            pass
        except click.ClickException as error:
            raise AbsentError(error.message) from None
    return said.getvalue().encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()

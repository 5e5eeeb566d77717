# SPDX-License-Identifier: Apache-2.0
"""The rounds: everybody in turn, again and again; a drift of the machine meets all alike."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.contenders import (
    BARE,
    BEFORE,
    DEBIAN,
    EXECUTABLES,
    FLOOR,
    GO,
    ON_DISK,
    OURS,
    PYTHON,
    RELEASED,
    ROOT,
    Attachment,
    bare,
    floor,
    go,
    ours,
    version,
)
from bench.node import IFNAME, BenchError, BenchNode, Place
from bench.samples import Samples

VFS = (1, 16, 64, 256)
DEVICES = (1, 100, 1000)
AT_ONCE = (1, 4, 16)
# How a VF is asked for; the last one, where it is a certain one.
FIRST_FREE, BY_INDEX, BY_ADDRESS = "first free VF", "VF by index", "VF by deviceID"
_WARM_UP = 2  # rounds that do not count: files get into the page cache


def state_directory() -> str:
    """Make a directory on the file system that this working copy is on, for records and leases."""
    (ROOT / "build").mkdir(exist_ok=True)
    return tempfile.mkdtemp(prefix="bench-", dir=ROOT / "build")


def measure_commands(samples: Samples, rounds: int, state: str) -> None:
    """Measure VERSION, ADD, CHECK and DEL of all contenders, and the interpreters."""
    with BenchNode() as node:
        (place,) = node.add_card("eth1", vfs=1)
        attachments = {
            OURS: ours(place),
            RELEASED: ours(place, RELEASED),
            GO: go(place),
            DEBIAN: go(place, DEBIAN),
            ON_DISK: ours(place, state=state),
        }
        if BEFORE in EXECUTABLES:
            attachments[BEFORE] = ours(place, BEFORE)
        for counted in each_round(samples, rounds):
            counted.add("run", BARE, node.execute(bare()).sample)
            _move(node, place, counted)
            for name in EXECUTABLES:
                _ask_versions(node, name, counted)
            for name, attachment in attachments.items():
                attach_and_detach(node, name, attachment, counted, check=True)


def measure_growth(samples: Samples, rounds: int) -> None:
    """Measure ADD on PFs with more and more VFs, and on hosts with more and more devices."""
    with ExitStack() as exits:
        node = exits.enter_context(BenchNode())
        cases: dict[str, tuple[BenchNode, Attachment]] = {}
        for bus, vfs in enumerate(VFS, 1):
            places = node.add_card(f"eth{vfs}", vfs=vfs, bus=bus)
            first, last = places[0], places[-1]
            cases[vfs_case(FIRST_FREE, vfs)] = (node, ours(first, master=first.pf))
            cases[vfs_case(BY_INDEX, vfs)] = (node, ours(last))
            cases[vfs_case(BY_ADDRESS, vfs)] = (node, ours(last, deviceID=last.pci_address))
        for devices in DEVICES:
            node = exits.enter_context(BenchNode())
            (place,) = node.add_card("eth1", vfs=1)
            node.add_devices(devices)
            cases[devices_case(devices)] = (node, ours(place))
        for counted in each_round(samples, rounds):
            for name, (node, attachment) in cases.items():
                attach_and_detach(node, name, attachment, counted)


def measure_throughput(samples: Samples, rounds: int) -> None:
    """Measure ADDs of several pods that are started at once; a sample is all of them together."""
    with BenchNode() as node:
        places = node.add_card("eth1", vfs=max(AT_ONCE), pods=max(AT_ONCE))
        contenders = {OURS: [ours(p) for p in places], GO: [go(p) for p in places]}
        for counted in each_round(samples, rounds):
            for at_once in AT_ONCE:
                for name, attachments in contenders.items():
                    _attach_at_once(node, name, attachments[:at_once], counted)


def measure_busy(samples: Samples, rounds: int) -> None:
    """Measure ADD, DEL and many ADDs at once while something else wants every CPU."""
    with _all_cpus_taken(), BenchNode() as node:
        places = node.add_card("eth1", vfs=max(AT_ONCE), pods=max(AT_ONCE))
        contenders = {OURS: [ours(p) for p in places], GO: [go(p) for p in places]}
        for counted in each_round(samples, rounds):
            for name, attachments in contenders.items():
                attach_and_detach(node, name, attachments[0], counted)
                _attach_at_once(node, name, attachments, counted)


@contextmanager
def _all_cpus_taken() -> Iterator[None]:
    """Have a process per CPU that never sleeps, for the length of a with-statement."""
    command = (PYTHON, "-I", "-S", "-c", "while True: pass")
    processes = [subprocess.Popen(command) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def vfs_case(how: str, vfs: int) -> str:
    """Return the name of a case of growth: how a VF is selected from how many."""
    return f"{how}, of {vfs}"


def devices_case(devices: int) -> str:
    """Return the name of a case of growth: beside how many devices."""
    return f"beside {devices} devices"


def at_once_case(at_once: int) -> str:
    """Return the name of a case of throughput."""
    return f"ADD, {at_once} at once"


def each_round(samples: Samples, rounds: int) -> Iterator[Samples]:
    """Yield where each round's samples go: those of the first ones nowhere."""
    for _ in range(min(_WARM_UP, rounds)):
        yield Samples()
    for _ in range(rounds):
        yield samples


def _move(node: BenchNode, place: Place, samples: Samples) -> None:
    samples.add("run", FLOOR, node.execute(floor(place)).sample)
    node.expect_attached(place, configured=False)
    node.take_from_pod(place.pod, IFNAME, place.netdev)
    node.expect_returned(place)


def _ask_versions(node: BenchNode, name: str, samples: Samples) -> None:
    run = node.execute(version(name))
    if "supportedVersions" not in run.endings[0].stdout:
        raise BenchError(f"{name} did not answer VERSION: {run.endings[0].stdout}")
    samples.add("VERSION", name, run.sample)


def attach_and_detach(
    node: BenchNode, name: str, attachment: Attachment, samples: Samples, *, check: bool = False
) -> None:
    """Measure ADD and DEL, CHECK too if wanted, and look whether they did their work."""
    run = node.execute(attachment.program("ADD"))
    samples.add("ADD", name, run.sample)
    node.expect_attached(attachment.place)
    result = run.endings[0].stdout
    if check:
        samples.add("CHECK", name, node.execute(attachment.program("CHECK", result)).sample)
    samples.add("DEL", name, node.execute(attachment.program("DEL", result)).sample)
    node.expect_returned(attachment.place)


def _attach_at_once(
    node: BenchNode, name: str, attachments: list[Attachment], samples: Samples
) -> None:
    run = node.execute(*(attachment.program("ADD") for attachment in attachments))
    samples.add(at_once_case(len(attachments)), name, run.sample)
    for attachment in attachments:
        node.expect_attached(attachment.place)
    results = [ending.stdout for ending in run.endings]
    node.execute(
        *(a.program("DEL", result) for a, result in zip(attachments, results, strict=True))
    )
    node.expect_returned(*(attachment.place for attachment in attachments))

# SPDX-License-Identifier: Apache-2.0
"""The rounds: everybody in turn, again and again; a drift of the machine meets all alike."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

from bench.contenders import (
    BARE,
    DEBIAN,
    EXECUTABLES,
    FLOOR,
    GO,
    ON_DISK,
    OURS,
    ROOT,
    Attachment,
    bare,
    floor,
    go,
    ours,
    version,
)
from bench.figures import Samples
from bench.stage import IFNAME, BenchError, Place, Stage

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
    with Stage() as stage:
        (place,) = stage.add_card("eth1", vfs=1)
        attachments = {
            OURS: ours(place),
            GO: go(place),
            DEBIAN: go(place, DEBIAN),
            ON_DISK: ours(place, state=state),
        }
        for counted in _rounds(samples, rounds):
            counted.add("run", BARE, stage.execute(bare()).sample)
            _move(stage, place, counted)
            for name in EXECUTABLES:
                _ask_versions(stage, name, counted)
            for name, attachment in attachments.items():
                _attach_and_detach(stage, name, attachment, counted, check=True)


def measure_growth(samples: Samples, rounds: int) -> None:
    """Measure ADD on PFs with more and more VFs, and on hosts with more and more devices."""
    with ExitStack() as exits:
        stage = exits.enter_context(Stage())
        cases: dict[str, tuple[Stage, Attachment]] = {}
        for bus, vfs in enumerate(VFS, 1):
            places = stage.add_card(f"eth{vfs}", vfs=vfs, bus=bus)
            first, last = places[0], places[-1]
            cases[vfs_case(FIRST_FREE, vfs)] = (stage, ours(first, master=first.pf))
            cases[vfs_case(BY_INDEX, vfs)] = (stage, ours(last))
            cases[vfs_case(BY_ADDRESS, vfs)] = (stage, ours(last, deviceID=last.pci_address))
        for devices in DEVICES:
            stage = exits.enter_context(Stage())
            (place,) = stage.add_card("eth1", vfs=1)
            stage.add_devices(devices)
            cases[devices_case(devices)] = (stage, ours(place))
        for counted in _rounds(samples, rounds):
            for name, (stage, attachment) in cases.items():
                _attach_and_detach(stage, name, attachment, counted)


def measure_throughput(samples: Samples, rounds: int) -> None:
    """Measure ADDs of several pods that are started at once; a sample is all of them together."""
    with Stage() as stage:
        places = stage.add_card("eth1", vfs=max(AT_ONCE), pods=max(AT_ONCE))
        contenders = {OURS: [ours(p) for p in places], GO: [go(p) for p in places]}
        for counted in _rounds(samples, rounds):
            for at_once in AT_ONCE:
                for name, attachments in contenders.items():
                    _attach_at_once(stage, name, attachments[:at_once], counted)


def vfs_case(how: str, vfs: int) -> str:
    """Return the name of a case of growth: how a VF is selected from how many."""
    return f"{how}, of {vfs}"


def devices_case(devices: int) -> str:
    """Return the name of a case of growth: beside how many devices."""
    return f"beside {devices} devices"


def at_once_case(at_once: int) -> str:
    """Return the name of a case of throughput."""
    return f"ADD, {at_once} at once"


def _rounds(samples: Samples, rounds: int) -> Iterator[Samples]:
    """Yield where each round's samples go: those of the first ones nowhere."""
    for _ in range(min(_WARM_UP, rounds)):
        yield Samples()
    for _ in range(rounds):
        yield samples


def _move(stage: Stage, place: Place, samples: Samples) -> None:
    samples.add("run", FLOOR, stage.execute(floor(place)).sample)
    stage.expect_attached(place, configured=False)
    stage.take_from_pod(place.pod, IFNAME, place.netdev)
    stage.expect_returned(place)


def _ask_versions(stage: Stage, name: str, samples: Samples) -> None:
    run = stage.execute(version(name))
    if "supportedVersions" not in run.endings[0].stdout:
        raise BenchError(f"{name} did not answer VERSION: {run.endings[0].stdout}")
    samples.add("VERSION", name, run.sample)


def _attach_and_detach(
    stage: Stage, name: str, attachment: Attachment, samples: Samples, *, check: bool = False
) -> None:
    run = stage.execute(attachment.program("ADD"))
    samples.add("ADD", name, run.sample)
    stage.expect_attached(attachment.place)
    result = run.endings[0].stdout
    if check:
        samples.add("CHECK", name, stage.execute(attachment.program("CHECK", result)).sample)
    samples.add("DEL", name, stage.execute(attachment.program("DEL", result)).sample)
    stage.expect_returned(attachment.place)


def _attach_at_once(
    stage: Stage, name: str, attachments: list[Attachment], samples: Samples
) -> None:
    run = stage.execute(*(attachment.program("ADD") for attachment in attachments))
    samples.add(at_once_case(len(attachments)), name, run.sample)
    for attachment in attachments:
        stage.expect_attached(attachment.place)
    results = [ending.stdout for ending in run.endings]
    stage.execute(
        *(a.program("DEL", result) for a, result in zip(attachments, results, strict=True))
    )
    stage.expect_returned(*(attachment.place for attachment in attachments))

# SPDX-License-Identifier: Apache-2.0
"""What a call costs besides time, and where its time goes: by strace, importtime and rusage.

All of this slows the call down, so nothing here is among what is timed.
"""

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench.contenders import (
    BARE,
    BEFORE,
    DEBIAN,
    ENVIRONMENT,
    EXECUTABLES,
    FLOOR,
    GO,
    OURS,
    PYTHON,
    RELEASED,
    ROOT,
    Attachment,
    bare,
    floor,
    go,
    ours,
)
from bench.node import HERE, IFNAME, BenchNode, Place, Program
from bench.samples import medians

STRACE = "/usr/bin/strace"
_PEAKS = 3  # calls of each kind; the largest peak counts
_NETLINK = "trace=sendto,recvfrom,sendmsg,recvmsg"


class Footprint(NamedTuple):
    """Peak memory of the largest process in bytes, and the system calls of all processes.

    `installed` are the bytes of all files needed, 0 for what is none of this project's or Go's.
    """

    peak: int
    system_calls: int
    installed: int = 0


class Costs(NamedTuple):
    """What was seen inside of calls.

    `footprints` by command and contender; `least_peak` is what any process would seem to have, in
    bytes; `imports` are the seconds each module takes itself in an
    ADD, the interpreter's own modules excepted; `kernel` the seconds an ADD (OURS) and a move
    (FLOOR) wait for netlink.
    """

    footprints: dict[tuple[str, str], Footprint]
    least_peak: int
    imports: dict[str, float]
    kernel: dict[str, float]


def look(repeat: int) -> Costs:
    """Look inside of ADD and DEL of all contenders; times are medians of `repeat` calls."""
    with BenchNode() as node, tempfile.NamedTemporaryFile("r", encoding="utf-8") as note:
        (place,) = node.add_card("eth1", vfs=1)
        look = _Look(node, place, Path(note.name))
        contenders = {
            OURS: ours(place),
            RELEASED: ours(place, RELEASED),
            GO: go(place),
            DEBIAN: go(place, DEBIAN),
        }
        if BEFORE in EXECUTABLES:
            contenders[BEFORE] = ours(place, BEFORE)
        footprints = {("run", BARE): look.bare_footprint(), ("run", FLOOR): look.move_footprint()}
        nothing = Program(("/bin/true",), ENVIRONMENT)
        for name, attachment in contenders.items():
            for command, footprint in look.footprints(attachment).items():
                installed = EXECUTABLES[name].size()
                footprints[command, name] = footprint._replace(installed=installed)
        own = look.interpreters_modules()
        imports = [look.imports(own) for _ in range(repeat)]
        kernel = {
            OURS: medians(look.netlink(ours(place)) for _ in range(repeat))["seconds"],
            FLOOR: medians(look.move_netlink() for _ in range(repeat))["seconds"],
        }
        return Costs(footprints, look.peak(nothing), medians(imports), kernel)


class _Look(NamedTuple):
    """A node with one place on it, and the file that the tools write to."""

    node: BenchNode
    place: Place
    note: Path

    def footprints(self, attachment: Attachment) -> dict[str, Footprint]:
        """Return the footprints of an attachment's ADD and DEL."""
        peaks = [dict(self._attachment(attachment, self._under_peak)) for _ in range(_PEAKS)]
        calls = dict(self._attachment(attachment, self._under_count))
        return {
            command: Footprint(
                max(_peak(peak[command]) for peak in peaks), system_calls(calls[command])
            )
            for command in calls
        }

    def peak(self, program: Program) -> int:
        """Return the peak memory of a program that needs no place, in bytes."""
        self.node.execute(self._under_peak(program))
        return _peak(self.note.read_text())

    def bare_footprint(self) -> Footprint:
        """Return the footprint of an interpreter with nothing to do."""
        self.node.execute(self._under_count(bare()))
        calls = system_calls(self.note.read_text())
        return Footprint(self.peak(bare()), calls)

    def move_footprint(self) -> Footprint:
        """Return the footprint of an interpreter that moves a device."""
        return Footprint(
            _peak(self._move(self._under_peak)), system_calls(self._move(self._under_count))
        )

    def interpreters_modules(self) -> set[str]:
        """Return the names of the modules that every interpreter imports at its start."""
        program = bare()
        arguments = (PYTHON, "-X", "importtime", *program.arguments[1:])
        run = self.node.execute(program._replace(arguments=arguments))
        return set(_imports(run.endings[0].stderr))

    def imports(self, own: set[str]) -> dict[str, float]:
        """Return the seconds that each import of an ADD takes, those in `own` excepted."""
        options = ("-I", "-S", "-OO", "-X", "importtime", str(HERE / "run_from_source.py"))
        command = (PYTHON, *options, str(ROOT))
        attachment = ours(self.place)
        add = attachment.program("ADD")._replace(arguments=command)
        run = self.node.execute(add)
        self.node.expect_attached(self.place)
        self.node.execute(attachment.program("DEL", run.endings[0].stdout))
        found = _imports(run.endings[0].stderr)
        return {name: seconds for name, seconds in found.items() if name not in own}

    def netlink(self, attachment: Attachment) -> dict[str, float]:
        """Return the `seconds` an ADD spends in system calls that send and receive messages."""
        return {"seconds": _waited(dict(self._attachment(attachment, self._under_wait))["ADD"])}

    def move_netlink(self) -> dict[str, float]:
        """Return the same of an interpreter that moves a device."""
        return {"seconds": _waited(self._move(self._under_wait))}

    def _under_peak(self, program: Program) -> Program:
        return program.under(PYTHON, "-I", "-S", str(HERE / "run_for_peak.py"), str(self.note))

    def _under_count(self, program: Program) -> Program:
        return program.under(STRACE, "-f", "-c", "-U", "calls,name", "-o", str(self.note))

    def _under_wait(self, program: Program) -> Program:
        # --seccomp-bpf: calls of other kinds run at full speed
        options = ("-f", "--seccomp-bpf", "-T", "-e", _NETLINK, "-o", str(self.note))
        return program.under(STRACE, *options)

    def _attachment(
        self, attachment: Attachment, under: Callable[[Program], Program]
    ) -> Iterator[tuple[str, str]]:
        """Yield ADD and DEL with what the tool noted."""
        run = self.node.execute(under(attachment.program("ADD")))
        yield "ADD", self.note.read_text()
        self.node.expect_attached(self.place)
        self.node.execute(under(attachment.program("DEL", run.endings[0].stdout)))
        yield "DEL", self.note.read_text()
        self.node.expect_returned(self.place)

    def _move(self, under: Callable[[Program], Program]) -> str:
        """Move the device there and back, and return what the tool noted of the way there."""
        self.node.execute(under(floor(self.place)))
        self.node.take_from_pod(self.place.pod, IFNAME, self.place.netdev)
        return self.note.read_text()


def _peak(note: str) -> int:
    return int(note) * 1024


def system_calls(note: str) -> int:
    """Return the total of strace's table of calls (-c -U calls,name)."""
    (total,) = re.findall(r"^\s*(\d+)\s+total$", note, re.M)
    return int(total)


def _waited(note: str) -> float:
    """Return the seconds of all system calls in strace's record; one may be in two pieces."""
    return sum(map(float, re.findall(r"<(\d+\.\d+)>$", note, re.M)))


def _imports(stderr: str) -> dict[str, float]:
    """Return the seconds of each module itself, as -X importtime lists them in microseconds."""
    lines = re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", stderr, re.M)
    found: dict[str, float] = {}
    for microseconds, name in lines:
        found[name] = found.get(name, 0.0) + int(microseconds) / 1e6
    return found

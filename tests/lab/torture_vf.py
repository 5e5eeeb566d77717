# SPDX-License-Identifier: Apache-2.0
"""A VF and a pod to kill the plugin between, over and over, several side by side.

strace(1) holds the frozen executable on entry to a system call. Killing strace then kills all that
it traces (PTRACE_O_EXITKILL); the system call is not executed any more. To have strace inject the
signal takes half a minute in the guest (tests/points.py).
"""

import os
import shutil
from glob import glob

from tests import card
from tests.lab.runtime import INSTALLED
from tests.networks import FULL
from tests.plugin import Document, Outcome, Plugin, Running, processes_of, run, run_json, wait_for
from tests.points import (
    FEWER_STOPS,
    LOOK,
    Point,
    holding,
    is_held,
    kill,
    process_of,
    recorded,
    recording,
    step,
)

# All that an ADD can do on this card.
ALL_THERE_IS: Document = FULL | {
    "vf": 2,
    "mac": "66:d8:02:77:aa:aa",
    "vlan": 7,
    "vlanQoS": 3,
    "spoofchk": "off",
    "trust": "on",
    "max_tx_rate": 100,
}
_EXECUTABLE = f"{INSTALLED}/sriov"
_PATIENCE = 60.0  # seconds; others may keep the machine busy


class TortureVf:
    """A VF, a pod, and state directories of its own; a context manager."""

    def __init__(self, pf: str, directory: str) -> None:
        self._pf = pf
        self._ifname = f"net-{pf}"
        self._log = f"{directory}/strace-{pf}"
        self._state = f"{directory}/state-{pf}"
        vlan = ALL_THERE_IS["vlan"] + card.PFS.index(pf)  # all such VFs have the same addresses
        own = {"master": pf, "vlan": vlan, "dataDir": f"{self._state}/sriov"}
        own["ipam"] = ALL_THERE_IS["ipam"] | {"dataDir": f"{self._state}/fixipam"}
        self._config = ALL_THERE_IS | own
        self._trials = 0
        self._straced: list[Running] = []

    def __enter__(self) -> "TortureVf":
        (self._vf,) = card.netdevs(self._pf, ALL_THERE_IS["vf"])
        self._netns = card.add_pod(self._ifname)
        for name in (self._ifname, f"enp-{self._pf}"):  # one stands in the way of the pod's
            run("ip", "link", "property", "add", "dev", self._vf, "altname", name)
        self._mac_at_first = card.administrative_mac(self._pf, ALL_THERE_IS["vf"])
        # On Linux 6.1 the PF knows the VF's own MAC only once that was down, or some seconds later.
        for state in ("up", "down", "up"):
            run("ip", "link", "set", self._vf, state)
        self.renew()
        self._before = self._state_of_everything()
        return self

    def __exit__(self, *exception: object) -> None:
        self.call("DEL")
        self._let_go()
        run("ip", "netns", "delete", self._ifname)
        run("ip", "link", "set", self._vf, "down", check=False)
        vf = ("vf", str(ALL_THERE_IS["vf"]), "mac", self._mac_at_first)
        run("ip", "link", "set", self._pf, *vf)
        for name in (self._ifname, f"enp-{self._pf}"):
            run("ip", "link", "property", "del", "dev", self._vf, "altname", name, check=False)

    def renew(self) -> None:
        """Begin another trial: a container nobody has seen, on a node that never had an ADD."""
        self._trials += 1
        self._container = f"killed-{self._pf[3:]}-{self._trials:05}"
        shutil.rmtree(self._state, ignore_errors=True)

    def points(self) -> list[Point]:
        """Return the points of an ADD and of the DEL after it that change or send something.

        Looks for duplicate addresses are none here: ADD makes them only if the VF has carrier by
        then (pod/interface.py), which it has or has not.
        """
        found = []
        for command in ("ADD", "DEL"):
            self._start(command, *FEWER_STOPS, *recording(looking=False))
            trace = wait_for(self._trace_of_the_ended, _PATIENCE)
            assert "+++ exited with 0 +++" in trace, trace[-1000:]
            points = recorded(command, trace, INSTALLED)
            found += [point for point in points if point.changes and point.step != LOOK]
            self._forget_traces()
        left = self.left()
        assert not left, left
        return found

    def call(self, command: str) -> Outcome:
        """Execute a command."""
        return self._start(command).outcome()

    def kill(self, point: Point) -> bool:
        """Execute a command up to a point and kill it there, with all it started.

        Tell whether it got there: a driver that is slow to answer makes other calls necessary.
        """
        running = self._start(point.command, *holding(point))
        wait_for(
            lambda: is_held(point, self._trace()) or running.process.poll() is not None, _PATIENCE
        )
        last = self._trace().rpartition("\n")[2]
        kill(running.process, self._log)
        self._let_go()
        self._forget_traces()
        return step(f"{last}) = ?") == point.step

    def left(self) -> list[str]:
        """Return a phrase for all that is not as it was before the ADD, processes included."""
        now = self._state_of_everything()
        differences = [
            f"{thing}: {now[thing]}, not {self._before[thing]}"
            for thing in now
            if now[thing] != self._before[thing]
        ]
        self._let_go()
        return differences

    def _state_of_everything(self) -> dict[str, object]:
        """Return all that an attachment may change, and nothing that other VFs' may."""
        state = card.state()
        devices, tables = state["devices"], state["VFs"]
        assert isinstance(devices, dict)
        assert isinstance(tables, dict)
        ours = {card.vf_address(self._pf, vf) for vf in range(card.VFS)}
        links = run_json("ip", "-j", "-n", self._ifname, "link", "show")
        return {
            "PF": (devices[self._pf], tables[self._pf]),
            "VFs": {name: device for name, device in devices.items() if device[-1] in ours},
            "files": card.files(self._state),
            "pod": sorted(link["ifname"] for link in links),
        }

    def _start(self, command: str, *tampering: str) -> Running:
        strace = ("strace", "-o", self._log, *tampering) if tampering else ()
        config = self._config
        if command == "GC":
            config = config | {"cni.dev/valid-attachments": []}
        running = Plugin(*strace, _EXECUTABLE).start(
            command, config, container=self._container, ifname=self._ifname, netns=self._netns
        )
        if strace:
            self._straced.append(running)
        return running

    def _process(self) -> int:
        """Return the process under strace, which alone has no parent there; 0: not yet started."""
        return min(map(process_of, glob(f"{self._log}.*")), default=0)

    def _trace(self) -> str:
        if not (process := self._process()):
            return ""
        with open(f"{self._log}.{process}", encoding="utf-8", errors="replace") as file:
            return file.read()

    def _trace_of_the_ended(self) -> str:
        trace = self._trace()
        return trace if trace.endswith("+++\n") else ""

    def _forget_traces(self) -> None:
        for log in glob(f"{self._log}.*"):
            os.rename(log, f"{self._log}-old")  # strace may still write to a child's

    def _let_go(self) -> None:
        """Wait for the end of what serves the container, and of strace, which waits for it."""
        wait_for(lambda: not processes_of(self._container), _PATIENCE)
        for running in self._straced:
            running.process.communicate(timeout=_PATIENCE)
        self._straced = []

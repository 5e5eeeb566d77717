# SPDX-License-Identifier: Apache-2.0
"""The lab ends a guest that hangs, and none that only takes long. No guest outlives its boot."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.documents import ROOT

BOOT = str(ROOT / "tests" / "lab" / "boot")
# The guest's report of its processes comes after three quarters of this minus 5 seconds, within 5
# seconds more: here 25 to 30, far from its end at 40, and from the 15 that the tests before take.
PATIENCE = 40
LONG_AND_THEN_HANGING = """
for number in 1 2 3; do echo "test $number"; sleep 15; done
echo "the test that hangs"
echo "  its traceback"
sleep 600
"""


def is_guest(process: int) -> bool:
    """Tell whether a process is QEMU; one that has ended may be listed, but without arguments."""
    try:
        program, *_ = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return program == b"qemu-system-x86_64"


def guests(boot: int) -> list[int]:
    """Return the guests that a boot has started."""
    children = Path(f"/proc/{boot}/task/{boot}/children").read_text().split()
    return [int(child) for child in children if is_guest(int(child))]


def test_a_guest_is_ended_when_it_prints_nothing_for_long_and_only_then() -> None:
    command = [BOOT, "-t", str(PATIENCE), "bash", "-c", LONG_AND_THEN_HANGING]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 124, done
    lines = done.stdout.splitlines()
    assert lines[:5] == ["test 1", "test 2", "test 3", "the test that hangs", "  its traceback"]
    assert any(line.endswith("S (sleeping) sleep 600 ") for line in lines[5:])
    assert all(line.startswith("  ") for line in lines[5:])
    assert done.stderr == (
        f"boot: the guest printed nothing for {PATIENCE} seconds;"
        " its last line: the test that hangs\n"
    )


def test_a_guest_that_stands_still_is_started_anew(tmp_path: Path) -> None:
    command = [BOOT, "sh", "-c", "sleep 10; exit 3"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as boot:
        while not any(path.read_bytes() for path in tmp_path.glob("sriov-lab.*/status")):
            assert boot.poll() is None
            time.sleep(0.1)
        (guest,) = guests(boot.pid)
        os.kill(guest, signal.SIGSTOP)
        _, stderr = boot.communicate()
    assert boot.returncode == 3
    assert stderr.endswith(
        b"boot: the guest stood still, programs that only sleep too; starting it anew\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_guest_ends_with_the_boot_that_started_it(number: signal.Signals, tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([BOOT, "sleep", "600"], env=environment) as boot:
        while not (found := guests(boot.pid)):
            assert boot.poll() is None
            time.sleep(0.1)
        boot.send_signal(number)
    deadline = time.monotonic() + 30
    while any(map(is_guest, found)):
        assert time.monotonic() < deadline
        time.sleep(0.1)

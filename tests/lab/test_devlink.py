# SPDX-License-Identifier: Apache-2.0
"""Eswitch modes are asked for and set as devlink(8) does it, byte for byte, and the kernel obeys.

igb has no modes. netdevsim, the kernel's simulated card, has them, and representors of its VFs; it
is no PCI device.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriov_cni.kernel import devlink
from sriov_cni.kernel.errors import KernelError
from tests import card
from tests.plugin import run

PF = card.PFS[0]
SIMULATED, VFS = "netdevsim7", 3
BUS = Path("/sys/bus/netdevsim")
_PAYLOAD = re.compile(r'nlmsg_type=(\w+).*?"((?:\\x[0-9a-f]{2})+)"')


@pytest.fixture
def simulated() -> Iterator[Path]:
    """A simulated card with VFs: its directory in sysfs."""
    run("modprobe", "netdevsim")
    (BUS / "new_device").write_text("7 1")  # with one port
    device = BUS / "devices" / SIMULATED
    try:
        (device / "sriov_numvfs").write_text(str(VFS))
        yield device
    finally:
        (BUS / "del_device").write_text("7")


def sent(log: Path, *command: str) -> list[tuple[str, str]]:
    """Return type and payload of all messages that a program sends by netlink."""
    tracing = ("strace", "-o", str(log), "-e", "trace=sendto,sendmsg", "-xx", "-s", "4096")
    subprocess.run([*tracing, *command], capture_output=True, check=False)
    return _PAYLOAD.findall(log.read_text())


def without_version(payload: str) -> str:
    """Return a message without the family's version, its second byte: no kernel looks at it."""
    return payload[:4] + payload[8:]


def ours(log: Path, call: str) -> list[tuple[str, str]]:
    """Return what our own call sends."""
    code = f"from sriov_cni.kernel import devlink\ntry: devlink.{call}\nexcept Exception: pass"
    return sent(log, sys.executable, "-P", "-c", code)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("mode('pci', {!r})", "show pci/{}"),
        ("set_mode('pci', {!r}, 'switchdev')", "set pci/{} mode switchdev"),
        ("set_mode('pci', {!r}, 'legacy')", "set pci/{} mode legacy"),
    ],
)
def test_what_is_sent_is_what_devlink_sends(tmp_path: Path, call: str, words: str) -> None:
    address = card.pci_address(PF)
    asked, told = ours(tmp_path / "ours", call.format(address))
    theirs = sent(tmp_path / "theirs", "devlink", "dev", "eswitch", *words.format(address).split())
    assert asked[1] == theirs[0][1]  # which number devlink has
    assert without_version(told[1]) == without_version(theirs[-1][1])


def test_a_card_whose_driver_knows_no_eswitch_modes_has_none_and_takes_none() -> None:
    assert devlink.mode("pci", card.pci_address(PF)) is None
    with pytest.raises(KernelError, match="setting the eswitch mode switchdev of 0000:"):
        devlink.set_mode("pci", card.pci_address(PF), "switchdev")


def test_a_card_with_eswitch_modes_tells_its_mode_and_changes_it(simulated: Path) -> None:
    assert devlink.mode("netdevsim", SIMULATED) == "legacy"
    for mode in ("switchdev", "switchdev", "legacy"):
        devlink.set_mode("netdevsim", SIMULATED, mode)
        assert devlink.mode("netdevsim", SIMULATED) == mode
        shown = run("devlink", "dev", "eswitch", "show", f"netdevsim/{SIMULATED}")
        assert f" mode {mode}" in shown


def test_a_card_that_is_not_there_has_no_mode_and_takes_none(simulated: Path) -> None:
    assert devlink.mode("netdevsim", "netdevsim8") is None
    with pytest.raises(KernelError, match="mode switchdev of netdevsim8: No such device"):
        devlink.set_mode("netdevsim", "netdevsim8", "switchdev")


def test_a_pf_is_told_from_the_representors_that_its_switch_shows(simulated: Path) -> None:
    """The simulated card's network devices take the place of a PF's for one program."""
    devlink.set_mode("netdevsim", SIMULATED, "switchdev")
    address = card.pci_address(PF)
    asked = f"from sriov_cni.kernel import sysfs; print(*sysfs.uplink_names({address!r}))"
    script = 'mount --bind "$1" "$2" && exec "$3" -P -c "$4"'
    places = (simulated.resolve() / "net", f"/sys/bus/pci/devices/{address}/net")
    words = ("unshare", "--mount", "sh", "-ec", script, "sh", *map(str, places))
    uplinks = run(*words, sys.executable, asked).split()
    ports = {
        path.name: (path / "phys_port_name").read_text().strip()
        for path in (simulated / "net").iterdir()
    }
    assert sorted(ports.values()) == ["p1", *(f"pf0vf{vf}" for vf in range(VFS))]
    assert [ports[name] for name in uplinks] == ["p1"]

# SPDX-License-Identifier: Apache-2.0
"""Eswitch modes are asked for and set as devlink(8) does it, byte for byte.

igb has no modes, and Debian's kernels have no netdevsim; so what is sent is compared here, and what
kernels answer is read in tests/unit/test_devlink.py.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sriov_cni.kernel import devlink
from sriov_cni.kernel.errors import KernelError
from tests import card

PF = card.PFS[0]
_PAYLOAD = re.compile(r'nlmsg_type=(\w+).*?"((?:\\x[0-9a-f]{2})+)"')


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

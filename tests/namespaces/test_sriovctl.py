# SPDX-License-Identifier: Apache-2.0
"""What `sriovctl` prints, and where: on a terminal, in a pipe, for programs, for a shell.

The node is a tree in place of /sys; what it prints on a node with pods is in tests/lab.
"""

import json
import os
import pty
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sysfs import Tree, seeing

PF, OTHER = "0000:3b:00.0", "0000:3b:00.1"
LISTS = ("pfs", "vfs", "attachments")
NODE = {
    "functions": [{"match": {"pf": "ens1f1"}, "vfs": 4}],
    "resources": [
        {"resourceName": "net", "selectors": {"pfNames": ["ens1f0"], "drivers": ["iavf"]}},
        {"resourceName": "dpdk", "selectors": {"drivers": ["vfio-pci"]}},
        {"resourceName": "none", "selectors": {"vendors": ["15b3"]}},
    ],
}
Ended = subprocess.CompletedProcess[str]
Call = Callable[..., Ended]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Two PFs, of which one VF is bound to vfio-pci."""
    tree = Tree(tmp_path / "sys")
    tree.pf(PF, "ens1f0", vfs=4)
    tree.pf(OTHER, "ens1f1", vfs=2)
    tree.bind(tree.vf(PF, 3), "vfio-pci")
    (tmp_path / "node.json").write_text(json.dumps(NODE))
    return tree


@pytest.fixture
def command(tree: Tree, tmp_path: Path) -> list[str]:
    """The tool on that node, without its arguments."""
    places = ["--config-dir", str(tmp_path), "--data-dir", str(tmp_path / "state")]
    places += ["--kubelet-dir", str(tmp_path / "kubelet"), "--config-file", str(tmp_path / "none")]
    return [*seeing(tree, sys.executable, "-P", "-m", "sriovctl", *places)]


@pytest.fixture
def sriovctl(command: list[str]) -> Call:
    """Call the tool; it never prints a traceback."""

    def call(*words: str, **environment: str) -> Ended:
        ended = subprocess.run(
            [*command, *words],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    return call


def document(ended: Ended) -> Any:
    """Return what was printed for a program."""
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def on_a_terminal(command: list[str], **environment: str) -> str:
    """Return what a command prints on a terminal."""
    ours, theirs = pty.openpty()
    known = {"TERM": "xterm-256color", "COLUMNS": "200"} | environment
    with subprocess.Popen(command, env=os.environ | known, stdin=theirs, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # EIO: nobody has the terminal any more
            pass
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()


def test_tables_have_whole_lines_and_no_colours_in_a_pipe(sriovctl: Call) -> None:
    for name in LISTS:
        shown = sriovctl(name, "-o", "wide", COLUMNS="40").stdout
        assert "\x1b" not in shown
        assert "…" not in shown
    heads = sriovctl("vfs", "-o", "wide").stdout.splitlines()[0].split()
    assert heads[0] == "PF"
    assert heads[-1] == "REASON"


def test_a_terminal_has_colours_unless_it_is_told_not_to(command: list[str]) -> None:
    assert "\x1b" in on_a_terminal([*command, "pfs"])
    assert "\x1b" not in on_a_terminal([*command, "pfs"], NO_COLOR="1")


def test_what_reads_may_stop_reading(command: list[str]) -> None:
    script = '"$@" vfs | head -1; echo "${PIPESTATUS[0]}"'
    ended = subprocess.run(
        ["bash", "-c", script, "-", *command], capture_output=True, text=True, timeout=60
    )
    head, status = ended.stdout.splitlines()
    assert head.startswith("PF")
    assert int(status) in (0, 1)
    assert ended.stderr == ""


def test_programs_get_json(sriovctl: Call) -> None:
    pfs = document(sriovctl("pfs", "-o", "json"))
    assert [(pf["name"], pf["vfs"], pf["totalVfs"]) for pf in pfs] == [
        ("ens1f0", 4, 64),
        ("ens1f1", 2, 64),
    ]
    vfs = document(sriovctl("vfs", "ens1f0", "-o", "json"))
    assert [(vf["vf"], vf["driver"], vf["resource"]) for vf in vfs] == [
        *((number, "iavf", "intel.com/net") for number in range(3)),
        (3, "vfio-pci", "intel.com/dpdk"),
    ]
    assert document(sriovctl("vfs", PF, "-o", "json")) == vfs
    assert document(sriovctl("attachments", "-o", "json")) == []


def test_status_says_what_is_wrong_and_its_code_how_bad_it_is(
    sriovctl: Call, tmp_path: Path
) -> None:
    ended = sriovctl("status")
    assert ended.returncode == 2
    assert "2 PFs, 6 VFs; 0 attached" in ended.stdout
    assert "Critical: no agent serves kubelet" in ended.stdout
    assert "Critical: intel.com/none has no healthy device" in ended.stdout
    assert "Problem: the node is not as its files want it" in ended.stdout
    told = json.loads(sriovctl("status", "-o", "json").stdout)
    assert (told["status"], told["prepared"]) == (2, False)
    assert [each["resource"] for each in told["resources"]] == [
        *("intel.com/net", "intel.com/dpdk", "intel.com/none")
    ]
    (tmp_path / "node.json").write_text(json.dumps({"functions": NODE["functions"]}))
    assert sriovctl("status").returncode == 1
    (tmp_path / "node.json").write_text('{"functions": [{"vfs": -1}]}')
    ended = sriovctl("status")
    assert ended.returncode == 1
    assert f"Problem: {tmp_path}/node.json: functions[0]: vfs is -1, it must be" in ended.stdout
    (tmp_path / "node.json").unlink()
    (tmp_path / "none").write_text('{"resourceList": []}')
    ended = sriovctl("status")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "Nothing is wrong.")


def test_explain_says_which_resource_takes_a_device_or_which_selector_refuses_it(
    sriovctl: Call,
) -> None:
    vf, free = Tree.vf(PF, 3), Tree.vf(OTHER, 0)
    for name in (vf, "ens1f0#3", f"{PF}#3", vf.removeprefix("0000:")):
        told = document(sriovctl("explain", name, "-o", "json"))
        assert (told["device"], told["resource"]) == (vf, "intel.com/dpdk")
    told = document(sriovctl("explain", "ens1f1v0", "-o", "json"))
    assert (told["device"], told["resource"]) == (free, None)
    assert set(told["refusals"]) == {"intel.com/net", "intel.com/dpdk", "intel.com/none"}
    assert "pfNames" in told["refusals"]["intel.com/net"]
    told = document(sriovctl("explain", "none", "-o", "json"))
    assert (told["resource"], told["devices"]) == ("intel.com/none", [])
    assert told["refusals"] == {"vendors": 2}  # of the others, a resource has each


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("explain", "ens1f0v9"), "ens1f0v9 is no device or resource of this node; there is"),
        (("vfs", "ens2f0"), "ens2f0 is no PF of this node; there is ens1f0"),
        (("node", "reset", "ens2f0", "--yes"), "ens2f0 is no PF of this node; there is ens1f0"),
        (("rescan",), "no agent answers at /run/sriov/agent.sock"),
        (("reload",), "no agent answers at /run/sriov/agent.sock"),
    ],
)
def test_what_cannot_be_done_is_said(sriovctl: Call, words: tuple[str, ...], says: str) -> None:
    ended = sriovctl(*words)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Error: {says}")


@pytest.mark.parametrize(
    "words",
    [("nonsense",), ("vfs", "-o", "yaml"), ("vfs", "a", "b"), ("doctor", "plague"), ("node", "x")],
)
def test_a_wrong_command_line_has_a_code_of_its_own(sriovctl: Call, words: tuple[str, ...]) -> None:
    ended = sriovctl(*words)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert "Error: " in ended.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_what_completes_commands(sriovctl: Call, shell: str) -> None:
    assert "_SRIOVCTL_COMPLETE" in sriovctl("completion", shell).stdout


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("sriovctl att", {"attachments"}),
        ("sriovctl vfs ens", {"ens1f0", "ens1f1"}),
        ("sriovctl explain intel.com/d", {"intel.com/dpdk"}),
        ("sriovctl explain ens1f1v", {"ens1f1v0", "ens1f1v1"}),
        ("sriovctl node ", {"plan", "apply", "reset", "export"}),
    ],
)
def test_names_of_commands_devices_and_resources_are_completed(
    tree: Tree, tmp_path: Path, line: str, completions: set[str]
) -> None:
    words = line.split(" ")
    known = {"_SRIOVCTL_COMPLETE": "bash_complete", "COMP_WORDS": line}
    known["COMP_CWORD"] = str(len(words) - 1)
    script = 'mkdir /etc/sriov 2>/dev/null; cp "$0" /etc/sriov/ && exec "$@"'
    tool = [
        sys.executable,
        "-P",
        "-c",
        "from sriovctl.__main__ import main; main(prog_name='sriovctl')",
    ]
    within = [
        "sh",
        "-c",
        f"mount -t tmpfs tmpfs /etc; {script}",
        str(tmp_path / "node.json"),
        *tool,
    ]
    ended = subprocess.run(
        seeing(tree, *within), env=os.environ | known, capture_output=True, text=True, timeout=60
    )
    assert {line.partition(",")[2] for line in ended.stdout.splitlines()} == completions


def test_a_thousand_vfs_are_listed_by_few_means(tmp_path: Path, capsys: Any) -> None:
    tree = Tree(tmp_path / "sys")
    for function in range(8):
        tree.pf(f"0000:{0x40 + function * 4:02x}:00.0", f"ens{function}f0", vfs=128, total=128)
    tool = [sys.executable, "-P", "-m", "sriovctl", "--kubelet-dir", str(tmp_path), "vfs"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    ended = subprocess.run(seeing(tree, *tool), capture_output=True, text=True, timeout=100)
    after, took = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    assert len(ended.stdout.splitlines()) == 1 + 8 * 128
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with capsys.disabled():
        print(f"\n1024 VFs were listed in {took:.2f} s, {cpu:.2f} s of a CPU", end="")

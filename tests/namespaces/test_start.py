# SPDX-License-Identifier: Apache-2.0
"""Start-up is the product's speed: which modules the frozen program loads, and which it does not.

The executable cannot be asked, so its parts are run in a bare interpreter as the executable runs
them: the same finder, the same files of modules.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from startup import archive
from tests.networks import MYNET
from tests.node import Node
from tests.plugin import Document, Plugin

ROOT = Path(__file__).parents[2]
EXECUTABLE = f"{ROOT}/dist/sriov-cni/sriov"
PROGRAM = """
import posix, sys  # and not os, which takes another way with the finder
sys._MEIPASS = "{root}/dist/sriov-cni/_internal"
sys.path.clear()  # the executable has no other modules than those it brings
started = set(sys.modules)
def run(path, variables):
    exec(compile(open("{root}/" + path).read(), path, "exec"), variables)
finder = sys.modules["startup.finder"] = type(sys)("startup.finder")
run("startup/finder.py", vars(finder))
def leave(status):
    posix.write(2, " ".join(sorted(set(sys.modules) - started)).encode())
    posix._exit(status)
sys.exit = leave
run("sriov_cni/__main__.py", {{"__name__": "__main__"}})
"""
# What a call may load besides this project's own modules. Whatever is to be added here costs every
# pod of every node some time: docs/performance.md says how much a module takes.
PYTHONS = """
    _collections _ctypes _functools _imp _json _operator _socket _stat _struct
    errno fcntl gc genericpath os os.path posixpath stat
    json json.decoder json.encoder json.scanner struct types
    array
"""  # array only where the kernel names no parent of a device, as of these that stand in for VFs
LIBRARIES = """
    netaddr pyroute2
    netaddr.core netaddr.ip netaddr.strategy netaddr.strategy.ipv4 netaddr.strategy.ipv6
    pyroute2.common pyroute2.netlink pyroute2.netlink.exceptions
"""
# Modules of this project that no usual ADD needs. The way back is not among them: commands/add.py.
UNUSUAL = (
    "attachment.goplugin.attachments",
    "attachment.record_file",
    "cni.delegation",
    "cni.operation",
)
KNOWN = {*PYTHONS.split(), *archive.stand_ins(), *LIBRARIES.split(), "startup.finder"}


@pytest.fixture
def bare(node: Node) -> Plugin:
    """The frozen program in a bare interpreter; it names the modules it loaded on stderr."""
    python = f"{sys.base_prefix}/bin/python3"
    return Plugin(*node.entering, python, "-I", "-S", "-OO", "-c", PROGRAM.format(root=ROOT))


def foreign(loaded: str) -> set[str]:
    """Return the modules among those loaded that are not on the list."""
    return {
        name
        for name in loaded.split()
        if name not in KNOWN and not name.startswith(("sriov_cni", "ipam"))
    }


def test_add_check_and_del_load_only_what_is_on_the_list(
    node: Node, pod: str, bare: Plugin
) -> None:
    config: Document = MYNET | {"cniVersion": "1.1.0"}
    args = "IP=10.55.206.46;VF=1;MAC=66:d8:02:77:aa:aa"
    added = bare("ADD", config, netns=pod, args=args)
    assert added.status == 0
    checked = bare("CHECK", config | {"prevResult": added.document}, netns=pod, args=args)
    deleted = bare("DEL", config, netns=pod, args=args)
    assert (checked.status, deleted.status) == (0, 0)
    assert [foreign(outcome.stderr) for outcome in (added, checked, deleted)] == [set()] * 3
    assert "pyroute2.netlink" in added.stderr  # it does name what was loaded
    assert [name for name in UNUSUAL if f"sriov_cni.{name}" in added.stderr.split()] == []


def test_version_loads_no_library_at_all(bare: Plugin) -> None:
    loaded = bare("VERSION", {"cniVersion": "1.1.0"}).stderr.split()
    libraries = {name for name in loaded if name in LIBRARIES.split()}
    assert libraries == set()
    assert [name for name in loaded if name.startswith(("sriov_cni.attachment", "ipam"))] == []


def test_what_is_unusual_is_loaded_when_it_happens() -> None:
    """Regular expressions and another encoding."""
    environment = os.environ | {"CNI_COMMAND": "ADD"}
    for data, said in (
        ('{"cniVersion": "0.4.0"}'.encode("utf-16"), '"cniVersion":"0.4.0"'),
        (b'{"cniVersion": "0.4.0"', "Expecting ',' delimiter: line 1 column 23 (char 22)"),
        (b" \n{}\t x", "Extra data: line 2 column 5 (char 6)"),
    ):
        done = subprocess.run([EXECUTABLE], input=data, env=environment, capture_output=True)
        assert said in done.stdout.decode()
        assert done.stderr == b""


def test_any_locale_will_do(tmp_path: Path) -> None:
    """Another encoding than UTF-8 would take a codec that Python's start cannot find."""
    latin = ("localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(tmp_path / "de_DE.ISO-8859-1"))
    subprocess.run(latin, check=True)
    locale = {"LOCPATH": str(tmp_path), "LC_ALL": "de_DE.ISO-8859-1"}
    environment = os.environ | {"CNI_COMMAND": "VERSION"} | locale
    for program in ([EXECUTABLE], ["locale", "charmap"]):
        done = subprocess.run(program, input=b"{}", env=environment, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"ISO-8859-1\n"  # the locale is what it should be


SAME = """
import functools, json, os, socket
from contextlib import contextmanager, suppress
from typing import NamedTuple

class Point(NamedTuple):
    x: int
    y: int = 2

@contextmanager
def manager(swallow, again=False):
    print("in")
    try:
        yield "value"
    except KeyError:
        if not swallow:
            raise
    if again:
        yield "twice"
    print("out")

def attempt(text):
    try:
        print(text, eval(text))
    except Exception as error:
        print(text, type(error).__name__)

for swallow, again, error in (
    (True, False, None), (True, False, KeyError), (False, False, KeyError),
    (True, False, ValueError), (True, True, KeyError),
):
    try:
        with manager(swallow, again) as value:
            print(value)
            if error:
                raise error("within")
    except Exception as caught:
        print(type(caught).__name__)
with suppress(OSError, KeyError):
    open("/nonexistent")
attempt("suppress(OSError).__exit__(KeyError, None, None)")
for text in (
    "Point(1)[:]", "Point(1) == (1, 2)", "Point(y=1, x=3).y", "Point()", "Point(1, 2, 3)",
    "Point(1, x=1)", "Point(1)._replace(y=5)[:]", "Point(1)._asdict()", "Point._fields",
):
    attempt(text)
count = functools.cache(lambda: print("counted") or 7)
print(count(), count(), functools.partial(pow, 2)(5), functools.reduce(lambda a, b: a + b, [1, 2]))
os.environ["A"] = "b"
print(os.environ.get("A"), os.environ.get("B", "c"), "A" in os.environ, "B" in os.environ)
print(sorted(os.environ.items()) == sorted((name, os.environ[name]) for name in os.environ))
attempt("json.loads(' \\\\t\\\\n{} \\\\r\\\\n ')")
attempt("json.loads('{} x')")
attempt("json.loads('1 \\\\x0b')")
with socket.socket(socket.AF_UNIX) as opened:
    pass
print(opened.fileno())
"""


def test_stand_ins_do_what_they_stand_for() -> None:
    python = (f"{sys.base_prefix}/bin/python3", "-I", "-S", "-c")
    frozen = PROGRAM.format(root=ROOT).partition("def leave")[0] + SAME
    there, here = (
        subprocess.run([*python, program], capture_output=True, text=True, check=True).stdout
        for program in (SAME, frozen)
    )
    assert len(there.splitlines()) > 30
    assert here == there

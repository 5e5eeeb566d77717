# SPDX-License-Identifier: Apache-2.0
"""State on disk: private, whole, and never written through somebody's symbolic link."""

import gc
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sriov_cni.store import Directory
from tests.unit.executable import REPOSITORY


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_directory_is_made_with_its_parents_for_the_owner_alone(tmp_path: Path) -> None:
    Directory(f"{tmp_path}/cni/sriov", create=True)
    assert (mode(tmp_path / "cni"), mode(tmp_path / "cni/sriov")) == (0o700, 0o700)


def test_a_missing_directory_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Directory(f"{tmp_path}/sriov", create=False)
    assert os.listdir(tmp_path) == []


def test_a_file_is_for_the_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Directory(f"{tmp_path}/sriov", create=True).write("record", b"content")
    finally:
        os.umask(before)
    assert mode(tmp_path / "sriov") == 0o700
    assert mode(tmp_path / "sriov/record") == 0o600


def test_what_was_written_is_read(tmp_path: Path) -> None:
    Directory(f"{tmp_path}/sriov", create=True).write("record", b"content")
    assert Directory(f"{tmp_path}/sriov", create=False).read("record") == b"content"


def test_a_file_written_again_has_the_new_content_only(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    directory.write("record", b"long content")
    directory.write("record", b"short")
    assert (directory.names(), directory.read("record")) == (["record"], b"short")


def test_a_file_is_added_to_up_to_its_limit(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    directory.write("list", b"a")
    for line in (b"bc", b"def", b"g"):
        directory.append("list", line, 4)
    assert directory.read("list") == b"abcg"


def test_a_file_that_is_not_there_is_not_made_by_adding_to_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Directory(str(tmp_path), create=False).append("list", b"a", 4)
    assert os.listdir(tmp_path) == []


def link_to(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def other_name_of(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


@pytest.mark.parametrize("plant", [link_to, other_name_of])
def test_nothing_is_added_to_somebody_elses_file(
    tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "victim").write_text("precious")
    plant(tmp_path / "list", tmp_path / "victim")
    with suppress(OSError):
        Directory(str(tmp_path), create=False).append("list", b"a", 100)
    assert (tmp_path / "victim").read_text() == "precious"


def test_adding_to_a_fifo_waits_for_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list")
    directory = Directory(str(tmp_path), create=False)
    with pytest.raises(OSError, match="No such device"):
        directory.append("list", b"a", 100)
    reader = os.open(tmp_path / "list", os.O_RDONLY | os.O_NONBLOCK)
    directory.append("list", b"a", 100)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_a_reader_has_the_old_file_whole_while_a_new_one_comes(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    directory.write("record", b"old")
    with open(tmp_path / "record", "rb") as file:
        directory.write("record", b"new and longer")
        assert file.read() == b"old"


def test_what_a_killed_writer_left_is_no_file_and_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".new-record").write_bytes(b"half of something longer")
    directory = Directory(str(tmp_path), create=False)
    assert directory.names() == []
    directory.write("record", b"whole")
    assert (directory.names(), directory.read("record")) == (["record"], b"whole")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    directory.write("record", b"old")
    (tmp_path / ".new-record").mkdir()
    with pytest.raises(OSError, match="directory"):
        directory.write("record", b"new")
    assert directory.read("record") == b"old"


def test_a_directory_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sriov").symlink_to("elsewhere")
    with pytest.raises(OSError, match="sriov"):
        Directory(f"{tmp_path}/sriov", create=True)


def test_a_file_that_is_a_symbolic_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "record").symlink_to("secret")
    with pytest.raises(OSError, match="symbolic links"):
        Directory(str(tmp_path), create=False).read("record")


@pytest.mark.parametrize("slashes", ["/", "//"])
def test_a_directory_that_is_a_symbolic_link_is_refused_with_a_slash_too(
    tmp_path: Path, slashes: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sriov").symlink_to("elsewhere")
    with pytest.raises(OSError, match="sriov"):
        Directory(f"{tmp_path}/sriov{slashes}", create=True)


def test_a_subdirectory_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mynet").symlink_to("elsewhere")
    with pytest.raises(OSError, match="mynet"):
        Directory(str(tmp_path), create=False).subdirectory("mynet", create=True)


def test_a_subdirectory_is_made_for_the_owner_alone_when_asked(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    with pytest.raises(FileNotFoundError):
        directory.subdirectory("mynet", create=False)
    directory.subdirectory("mynet", create=True).write("lease", b"")
    assert mode(tmp_path / "mynet") == 0o700
    assert directory.subdirectory("mynet", create=False).names() == ["lease"]


def test_a_directory_may_have_more_parents_than_a_stack_has_frames(tmp_path: Path) -> None:
    deep = f"{tmp_path}{'/a' * 1500}"
    Directory(deep, create=True).write("record", b"")
    assert os.listdir(deep) == ["record"]
    subprocess.run(["rm", "-r", f"{tmp_path}/a"], check=True)  # shutil's uses the stack


def link(path: Path) -> None:
    path.symlink_to("../victim")


def hard_link(path: Path) -> None:
    path.hardlink_to(path.parent.parent / "victim")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


@pytest.mark.parametrize("plant", [link, hard_link, fifo, unix_socket])
@pytest.mark.parametrize("planted", ["record", ".new-record"])
def test_a_file_is_new_whatever_lies_in_its_place(
    tmp_path: Path, planted: str, plant: Callable[[Path], None]
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "victim").write_bytes(b"precious")
    plant(tmp_path / "state" / planted)
    Directory(f"{tmp_path}/state", create=False).write("record", b"content")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert os.listdir(tmp_path / "state") == ["record"]
    assert stat.S_ISREG((tmp_path / "state/record").lstat().st_mode)
    assert mode(tmp_path / "state/record") == 0o600


@pytest.mark.parametrize("plant", [link, fifo, unix_socket, Path.mkdir])
def test_what_is_no_regular_file_is_nobodys_state(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    (tmp_path / "state").mkdir()
    for name in ("record", ".new-record"):
        plant(tmp_path / "state" / name)
    directory = Directory(f"{tmp_path}/state", create=False)
    assert (directory.names(), directory.unfinished()) == ([], [])


def test_reading_a_fifo_waits_for_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "record")
    assert Directory(str(tmp_path), create=False).read("record") == b""


def test_removing_is_idempotent(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    directory.write("record", b"")
    directory.remove("record")
    directory.remove("record")
    assert directory.names() == []


def test_a_renamed_file_has_its_new_name_only(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    directory.write("old", b"content")
    directory.rename("old", "new")
    assert (directory.names(), directory.read("new")) == (["new"], b"content")


COUNTER = """
import sys
from sriov_cni.store import Directory
directory = Directory(sys.argv[1], create=False)
for _ in range(20):
    with directory.locked(patience=20):
        directory.write("count", str(int(directory.read("count")) + 1).encode())
"""


def test_a_locked_directory_keeps_other_processes_waiting(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    directory.write("count", b"0")
    command = [sys.executable, "-c", COUNTER, str(tmp_path)]
    counters = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(4)]
    assert [counter.wait(timeout=30) for counter in counters] == [0, 0, 0, 0]
    assert directory.read("count") == b"80"


def test_waiting_for_a_locked_directory_has_an_end(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    with (
        directory.locked(patience=0),
        pytest.raises(TimeoutError, match="locked by others for 0 s"),
        directory.locked(patience=0.01),
    ):
        pytest.fail("locked twice")
    with directory.locked(patience=0):
        pass  # given back


def test_what_a_killed_writer_left_is_no_file_and_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / ".new-record").write_text("half a rec")
    directory = Directory(str(tmp_path), create=False)
    assert (directory.names(), directory.unfinished()) == ([], ["record"])
    directory.discard("record")
    directory.discard("record")
    assert os.listdir(tmp_path) == []


def test_a_files_version_changes_when_the_file_is_replaced(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), create=False)
    directory.write("a", b"1")
    directory.write("b", b"1")
    before = directory.versions()
    directory.write("a", b"2")
    after = directory.versions()
    assert before.keys() == after.keys() == {"a", "b"}
    assert (before["a"] != after["a"], before["b"] == after["b"]) == (True, True)


def test_a_directory_that_nobody_uses_any_more_is_closed(tmp_path: Path) -> None:
    gc.collect()  # of what other tests left
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        Directory(str(tmp_path), create=False).subdirectory("within", create=True).names()
    assert len(os.listdir("/proc/self/fd")) == len(before)

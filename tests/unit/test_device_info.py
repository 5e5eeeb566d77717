# SPDX-License-Identifier: Apache-2.0
"""Files that tell Multus what a device is, in a directory that other plugins use, too."""

import json
import os
import stat
from pathlib import Path

import pytest

from sriov_node.device_plugin import device_info
from sriov_node.device_plugin.pool import Offer
from sriov_node.device_plugin.publication import Publication
from sriov_node.device_plugin.resource import Selector
from sriov_node.inventory.device import Device
from tests.functions import RESOURCE, pool, vf

FILE = f"intel.com-sriov_net-{vf(0).id}-device.json"
SF = Device("mlx5_core.sf.4", "0000:03:00.0", "15b3", "1021", 0x020000, pf="0000:03:00.0")


def files(directory: Path) -> list[str]:
    return sorted(name for name in os.listdir(directory) if not name.startswith("."))


def test_a_file_is_named_as_multus_looks_for_it() -> None:
    assert list(device_info.contents(pool(vf(0)))) == [FILE]


def test_a_vf_is_described_by_its_address_and_its_pfs() -> None:
    assert json.loads(device_info.content(Offer(vf(0), Selector()))) == {
        "type": "pci",
        "version": "1.1.0",
        "pci": {"pci-address": "0000:01:10.0", "pf-pci-address": "0000:01:00.0"},
    }


def test_rdma_and_vhost_are_told_where_they_are() -> None:
    device = vf(0)._replace(rdma=("mlx5_4",), pf=None)
    offer = Offer(device, Selector(is_rdma=True, need_vhost_net=True))
    assert json.loads(device_info.content(offer))["pci"] == {
        "pci-address": "0000:01:10.0",
        "rdma-device": "mlx5_4",
        "vhost-net": "/dev/vhost-net",
    }


def test_a_file_appears_whole_and_for_everybody_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        Publication(f"{tmp_path}/a/b").update({"x": b"content"})
    finally:
        os.umask(before)
    assert (tmp_path / "a/b/x").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "a/b/x").stat().st_mode) == 0o444


def test_a_reader_keeps_what_it_has_opened(tmp_path: Path) -> None:
    publication = Publication(str(tmp_path))
    publication.put("x", b"old")
    with (tmp_path / "x").open("rb") as file:
        publication.put("x", b"new content")
        assert file.read() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_what_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    publication = Publication(str(tmp_path))
    publication.update({"x": b"1", "y": b"1"})
    before = {name: (tmp_path / name).stat().st_ino for name in ("x", "y")}
    publication.update({"x": b"1", "y": b"2"})
    assert (tmp_path / "x").stat().st_ino == before["x"]
    assert (tmp_path / "y").read_bytes() == b"2"


def test_a_killed_writers_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".new-x").symlink_to(tmp_path / "victim")
    Publication(str(tmp_path)).put("x", b"1")
    assert os.listdir(tmp_path) == ["x"]


def test_a_failing_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(IsADirectoryError):
        Publication(str(tmp_path)).put("x", b"1")
    assert os.listdir(tmp_path) == ["x"]


def test_files_of_devices_that_left_between_two_runs_go(tmp_path: Path) -> None:
    Publication(str(tmp_path)).update(device_info.contents(pool(vf(0), vf(1), SF)))
    device_info.clean(str(tmp_path), [pool(vf(0))])
    assert files(tmp_path) == [FILE]


def test_files_of_resources_that_are_no_more_go(tmp_path: Path) -> None:
    old = pool(vf(0), resource=RESOURCE._replace(name="intel.com/old"))
    device_info.clean(str(tmp_path), [old])
    Publication(str(tmp_path)).update(device_info.contents(old))
    (tmp_path / ".new-intel.com-old-0000:01:10.1-device.json").touch()
    device_info.clean(str(tmp_path), [pool(vf(0))])
    assert os.listdir(tmp_path) == [".sriov-agent"]


@pytest.mark.parametrize(
    "name",
    [
        "nvidia.com-gpu-0000:01:10.0-device.json",
        "intel.com-sriov_net-extra-0000:01:10.0-device.json",  # resource intel.com/sriov_net-extra
        "my-intel.com-sriov_net-0000:01:10.0-device.json",
        "intel.com-sriov_net-0000:01:10.9-device.json",
        "intel.com-sriov_net-something.json",
        "intel.com-sriov_net2-0000:01:10.0-device.json",
    ],
)
def test_files_of_other_plugins_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    device_info.clean(str(tmp_path), [pool()])
    assert files(tmp_path) == [name]


@pytest.mark.parametrize("note", [b"", b"{", b"7", b"[7, null]", b"[" * 100_000, b'["", "x"]'])
def test_a_note_that_is_none_is_no_obstacle(tmp_path: Path, note: bytes) -> None:
    (tmp_path / ".sriov-agent").write_bytes(note)
    (tmp_path / "other-0000:01:10.0-device.json").touch()
    device_info.clean(str(tmp_path), [pool()])
    assert files(tmp_path) == ["other-0000:01:10.0-device.json"]


def test_a_missing_directory_is_made_where_there_is_something_to_note(tmp_path: Path) -> None:
    device_info.clean(f"{tmp_path}/dp", [])
    assert os.listdir(tmp_path) == []
    device_info.clean(f"{tmp_path}/dp", [pool()])
    assert os.listdir(tmp_path / "dp") == [".sriov-agent"]

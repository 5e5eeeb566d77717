# SPDX-License-Identifier: Apache-2.0
"""Who uses a device: each witness alone makes it used, and one that cannot be asked does, too.

tests/lab/test_preparation.py has records and pods on real cards, tests/lab/test_witnesses.py vfio.
"""

import asyncio
import json
import os
import threading
from pathlib import Path

import pytest

from sriov_cni.kernel import functions, processes
from sriov_node.inventory.device import Device, Snapshot, State, Use
from sriov_node.preparation import witnesses
from sriov_node.preparation.witnesses import ask_kubelet
from tests import nics

VF = nics.vf(1)
SILENT = witnesses.Testimony({})


def snapshot(*devices: Device) -> Snapshot:
    return Snapshot({device.id: device for device in devices})


def checkpoint(directory: Path, content: str) -> None:
    path = directory / "device-plugins/kubelet_internal_checkpoint"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def entries(ids: object) -> str:
    entry = {"PodUID": "u-1", "ContainerName": "main", "ResourceName": "a/b", "DeviceIDs": ids}
    return json.dumps({"Data": {"PodDeviceEntries": [entry]}, "Checksum": 1})


def test_a_free_vf_is_used_by_nobody() -> None:
    assert witnesses.uses(snapshot(VF), SILENT) == {}


@pytest.mark.parametrize("state", [s for s in State if s is not State.FREE])
def test_a_vf_that_a_record_a_namespace_or_the_host_has_is_used(state: State) -> None:
    used = VF._replace(use=Use(state, "is somebody's"))
    assert witnesses.uses(snapshot(used), SILENT) == {VF.address: ("is somebody's",)}


def test_a_pf_that_the_host_uses_may_have_its_vfs_changed() -> None:
    pf = nics.pf()._replace(use=Use(State.HOST, "has the address 10.0.0.1"))
    assert witnesses.uses(snapshot(pf), SILENT) == {}


def test_a_vf_that_kubelet_gave_away_is_used_and_each_witness_is_heard() -> None:
    used = VF._replace(use=Use(State.ATTACHED, "belongs to c1"))
    said = witnesses.Testimony({VF.id: ["was given to container main of pod a/b"]})
    assert witnesses.uses(snapshot(used), said) == {
        VF.address: ("belongs to c1", "was given to container main of pod a/b")
    }


def test_without_kubelet_and_checkpoint_there_is_nobody_to_ask(tmp_path: Path) -> None:
    assert asyncio.run(ask_kubelet(str(tmp_path))) == SILENT


@pytest.mark.parametrize("ids", [{"-1": [VF.id]}, {"0": [], "1": [VF.id]}, [VF.id]])
def test_where_kubelet_does_not_answer_its_checkpoint_counts(tmp_path: Path, ids: object) -> None:
    checkpoint(tmp_path, entries(ids))
    said = asyncio.run(ask_kubelet(str(tmp_path)))
    expected = "was given to container main of pod u-1, says kubelet's checkpoint"
    assert said.about == {VF.id: [expected]}


def test_a_checkpoint_of_an_earlier_boot_counts_for_nothing(tmp_path: Path) -> None:
    checkpoint(tmp_path, entries({"-1": [VF.id]}))
    os.utime(tmp_path / "device-plugins/kubelet_internal_checkpoint", times=(1, 1))
    assert asyncio.run(ask_kubelet(str(tmp_path))) == SILENT


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"Data": 3}', entries(3), entries("0000:3b:02.1"), "[" * 100_000],
)
def test_a_checkpoint_that_cannot_be_read_makes_every_vf_used(tmp_path: Path, content: str) -> None:
    checkpoint(tmp_path, content)
    found = witnesses.uses(snapshot(VF, nics.pf()), asyncio.run(ask_kubelet(str(tmp_path))))
    assert found.keys() == {VF.address}
    assert "may be a pod's: kubelet does not answer, and" in found[VF.address][0]


def test_an_open_file_is_found_while_others_are_closed_beside_it(tmp_path: Path) -> None:
    (tmp_path / "held").write_text("")
    ended = threading.Event()

    def open_and_close() -> None:
        while not ended.is_set():
            os.close(os.open("/dev/null", os.O_RDONLY))

    thread = threading.Thread(target=open_and_close)
    thread.start()
    try:
        with open(tmp_path / "held") as file:
            found = [set(processes.open_files(str(os.getpid()))) for _ in range(50)]
    finally:
        ended.set()
        thread.join()
    assert all(file.name in each for each in found)


def test_the_addresses_of_vfs_that_do_not_exist_yet_follow_from_routing_ids() -> None:
    # an 82576: First VF Offset 384, VF Stride 2 (its datasheet, 9.6.4.6)
    found = functions.vf_addresses("0000:01:00.0", 384, 2, 7)
    assert found[:4] == ["0000:02:10.0", "0000:02:10.2", "0000:02:10.4", "0000:02:10.6"]
    assert found[4:] == ["0000:02:11.0", "0000:02:11.2", "0000:02:11.4"]
    assert functions.vf_addresses("0000:01:00.0", 0, 0, 7) == []
    assert functions.vf_addresses("0000:ff:1f.7", 1, 1, 3) == []  # beyond the last bus

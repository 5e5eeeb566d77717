# SPDX-License-Identifier: Apache-2.0
"""What the plugin's log says of pods, and of its share of the time that a pod takes to start."""

import re
import statistics
import time
from pathlib import Path

import pytest

from tests.cluster import objects
from tests.cluster.pods import Pods

ROUNDS = 5


def operations(pod: str) -> list[dict[str, str]]:
    """Return the values of each line about a pod, of operations that went well."""
    lines = Path(objects.LOG).read_text(encoding="utf-8").splitlines()
    values = (dict(re.findall(r"(\w+)=(\S+)", line)) for line in lines if " command=" in line)
    return [each for each in values if each.get("pod") == f"default/{pod}"]


@pytest.mark.usefixtures("unchanged")
def test_each_attachment_has_its_lines(pods: Pods) -> None:
    pods.run(objects.pod("logged", "red", "blue"))
    pods.delete("logged")
    lines = operations("logged")
    for interface, pf, network in (("net1", "eth0", "red"), ("net2", "eth1", "blue")):
        about = [each for each in lines if each["interface"] == interface]
        assert [each["command"] for each in about][:2] == ["ADD", "DEL"]
        for each in about[:2]:
            assert (each["pf"], each["network"], each["outcome"]) == (pf, network, "ok")


@pytest.mark.usefixtures("unchanged")
def test_the_plugins_share_of_a_pods_start(pods: Pods, capsys: pytest.CaptureFixture[str]) -> None:
    """No time is asserted: the machine is emulated. docs/reliability.md has the figures."""
    seconds: dict[str, list[float]] = {"plain": [], "attached": []}
    for number in range(ROUNDS):
        for kind, networks in (("plain", ()), ("attached", ("red", "blue"))):
            name = f"{kind}{number}"
            begun = time.monotonic()
            pods.run(objects.pod(name, *networks))
            seconds[kind].append(time.monotonic() - begun)
            pods.delete(name)
    added = [
        int(each["duration"].removesuffix("ms"))
        for number in range(ROUNDS)
        for each in operations(f"attached{number}")
        if each["command"] == "ADD"
    ]
    assert len(added) == 2 * ROUNDS
    with capsys.disabled():
        for kind, all_ in seconds.items():
            print(f"\n{kind}: {statistics.median(all_):.1f} s ({min(all_):.1f}-{max(all_):.1f})")
        print(f"one ADD: {statistics.median(added)} ms ({min(added)}-{max(added)})")

# SPDX-License-Identifier: Apache-2.0
"""Keys in another case are meant, and told; fixipam tells of unknown ones, too."""

from typing import Any

import pytest

from ipam import commands as fixipam
from sriov_cni.attachment import configuration
from sriov_cni.cni.call import read
from sriov_cni.cni.document import JsonObject

NETWORK: JsonObject = {"cniVersion": "1.1.0", "name": "mynet", "type": "sriov", "master": "eth1"}
ENVIRONMENT = {
    "CNI_CONTAINERID": "pod",
    "CNI_NETNS": "/run/netns/pod",
    "CNI_IFNAME": "net1",
    "CNI_ARGS": "IP=10.1.0.5",
}


def warned_of(capfd: pytest.CaptureFixture[str], **ipam: Any) -> list[str]:
    """Return what fixipam warns of in its configuration."""
    config = NETWORK | {"ipam": {"type": "fixipam", **ipam}}
    fixipam.plan(read("ADD", ENVIRONMENT, config, "1.1.0"))
    return [line.partition("warning ")[2].partition(": ")[2] for line in lines(capfd)]


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().err.splitlines()


def test_a_key_in_the_right_case_is_worth_no_word(capfd: pytest.CaptureFixture[str]) -> None:
    subnet = {"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "dataDir": "/x", "routes": []}
    assert warned_of(capfd, **subnet) == []
    assert warned_of(capfd, ranges=[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.1"}]) == []


def test_fixipam_takes_a_key_in_another_case_for_the_one_it_knows(
    capfd: pytest.CaptureFixture[str],
) -> None:
    config = NETWORK | {"ipam": {"type": "fixipam", "Subnet": "10.1.0.0/24", "rangestart": ""}}
    config["ipam"] |= {"DATADIR": "/var/lib/elsewhere"}
    add = read("ADD", ENVIRONMENT, config, "1.1.0")
    assert str(fixipam.plan(add).config.ranges[0][0].subnet) == "10.1.0.0/24"
    assert fixipam.plan(add).config.data_directory == "/var/lib/elsewhere"
    assert "key ipam.Subnet is taken for subnet: correct its spelling" in lines(capfd)[0]


def test_fixipam_warns_of_keys_that_it_does_not_know(capfd: pytest.CaptureFixture[str]) -> None:
    assert warned_of(capfd, subnet="10.1.0.0/24", exclude=["10.1.0.7"]) == [
        "key ipam.exclude is unknown to fixipam and ignored"
    ]
    ranges = [{"subnet": "10.1.0.0/24", "rangeEnds": "10.1.0.7"}]
    assert warned_of(capfd, ranges=ranges) == [
        "key ipam.ranges[0].rangeEnds is unknown to fixipam and ignored"
    ]


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_all_commands_mean_the_same_directory(command: str) -> None:
    call = read(command, ENVIRONMENT, NETWORK | {"datadir": "/var/lib/elsewhere"}, "1.1.0")
    fields = configuration.respelt(call).fields
    assert configuration.state_directory(fields) == "/var/lib/elsewhere"

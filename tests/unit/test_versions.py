# SPDX-License-Identifier: Apache-2.0
"""Which specification version is in force, and which commands it has."""

import pytest

from sriov_cni.cni import errors
from sriov_cni.cni.call import read
from sriov_cni.cni.errors import CniError
from sriov_cni.cni.versions import SUPPORTED, at_least, of_configuration


def test_all_released_versions_are_supported() -> None:
    assert SUPPORTED == ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")


@pytest.mark.parametrize("version", SUPPORTED)
def test_a_configuration_gets_the_version_it_asks_for(version: str) -> None:
    assert of_configuration(version) == version


@pytest.mark.parametrize("version", [None, ""])
def test_no_version_means_0_1_0(version: str | None) -> None:
    assert of_configuration(version) == "0.1.0"


@pytest.mark.parametrize(
    "version", ["0.0.9", "0.3.2", "1.2.0", "2.0.0", "1.0", "v1.0.0", "1.0.0 ", 1, 1.1, True, [], {}]
)
def test_any_other_version_is_incompatible(version: object) -> None:
    with pytest.raises(CniError, match="cniVersion is") as caught:
        of_configuration(version)
    assert caught.value.code == errors.INCOMPATIBLE_VERSION


def test_versions_are_in_the_order_of_their_release() -> None:
    assert [v for v in SUPPORTED if at_least(v, "0.4.0")] == ["0.4.0", "1.0.0", "1.1.0"]


INTRODUCED = {"ADD": "0.1.0", "DEL": "0.1.0", "CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}
EVERY = [(command, version) for command in INTRODUCED for version in SUPPORTED]
ENVIRONMENT = {
    "CNI_CONTAINERID": "pod",
    "CNI_NETNS": "/run/netns/pod",
    "CNI_IFNAME": "net1",
    "CNI_PATH": "/opt/cni/bin",
}


@pytest.mark.parametrize(("command", "version"), [e for e in EVERY if e[1] >= INTRODUCED[e[0]]])
def test_a_version_has_the_commands_that_came_up_to_it(command: str, version: str) -> None:
    assert read(command, ENVIRONMENT, {"name": "mynet"}, version).version == version


@pytest.mark.parametrize(("command", "version"), [e for e in EVERY if e[1] < INTRODUCED[e[0]]])
def test_a_version_does_not_have_the_commands_that_came_later(command: str, version: str) -> None:
    with pytest.raises(CniError, match=f"{command} is not part of CNI {version}") as caught:
        read(command, ENVIRONMENT, {"name": "mynet"}, version)
    assert caught.value.code == errors.INCOMPATIBLE_VERSION

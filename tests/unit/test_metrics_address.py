# SPDX-License-Identifier: Apache-2.0
"""The flags that say where metrics are served, and under which names."""

import pytest

from sriov_node import __main__ as program
from sriov_node.metrics.server import Address
from sriov_node.metrics.service import Settings


def settings(*words: str) -> Settings:
    options, _ = program._read_arguments(words)
    return options.metrics


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), Settings(Address("127.0.0.1", 9808))),
        (("--metrics-address", "0.0.0.0:80"), Settings(Address("0.0.0.0", 80))),
        (("--metrics-address", "[::]:9808"), Settings(Address("::", 9808))),
        (("-metrics-address=node:0",), Settings(Address("node", 0))),
        (("--metrics-address", ""), Settings(None)),
        (("--exporter-names",), Settings(Address("127.0.0.1", 9808), exporter_names=True)),
    ],
)
def test_an_address_is_a_host_and_a_port(words: tuple[str, ...], expected: Settings) -> None:
    assert settings(*words) == expected


@pytest.mark.parametrize(
    "text",
    [
        "9808",
        ":9808",
        "host",
        "host:",
        "host:http",
        "host:65536",
        "::1:80",
        "[]:80",
        "host:-1",
        "host:٣",
    ],
)
def test_anything_else_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        settings(f"--metrics-address={text}")
    assert exit_.value.code == 2
    assert f"{text} must be HOST:PORT or [IPV6]:PORT" in capsys.readouterr().err

# SPDX-License-Identifier: Apache-2.0
"""`sriovctl bundle`: all that a bug report needs is in it, and no secret."""

import json
import os
import stat
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sriovctl import exits
from sriovctl.__main__ import main
from sriovctl.bundle import command
from sriovctl.bundle.parts import LARGEST, AbsentError, Part, Sources, parts
from sriovctl.bundle.secrets import REMOVED, without_secrets
from sriovctl.places import Places
from tests.sysfs import Tree

SECRET = "hunter2hunter2"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----"
PF = "0000:3b:00.0"
OWNER = "3f2a91,net1"


class _Agent(BaseHTTPRequestHandler):
    """Serves metrics."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 404)
        self.end_headers()
        self.wfile.write(f'sriov_up 1\nx{{token="{SECRET}"}} 1\n'.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def agent() -> Iterator[tuple[str, int]]:
    with HTTPServer(("127.0.0.1", 0), _Agent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "127.0.0.1", server.server_port
        server.shutdown()


def write(path: Path, content: str | dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: tuple[str, int]) -> Sources:
    """A node that has a secret in each place where somebody could have put one."""
    tree = Tree(tmp_path / "sys")
    tree.install(monkeypatch)
    tree.pf(PF, "ens1f0", vfs=2)
    records, cni, config = tmp_path / "data", tmp_path / "net.d", tmp_path / "etc"
    ipam = {"type": "own", "token": SECRET, "server": f"https://me:{SECRET}@ipam/", "dns": [PEM]}
    network = {"name": "n", "ipam": ipam, "args": {"cni": {"apiKey": [SECRET], "mac": "66:d8"}}}
    arguments = f"K8S_POD_NAME=web;K8S_POD_NAMESPACE=prod;PASSWORD={SECRET}"
    write(records / f"0000:3b:02.0,{OWNER}", {"arguments": arguments, "config": network})
    write(records / f"damaged-0000:3b:02.1,{OWNER}", f'{{"config": {{"password": "{SECRET}')
    write(records / "unrestored,0000:3b:02.1", {"config": {"client-key-data": SECRET}})
    write(records / "3f2a91-net1", {"ipam": {"credentials": {"user": "me", "x": SECRET}}})
    write(records / "pci/0000:3b:02.0", "/var/run/netns/pod")
    write(cni / "00-multus.conf", {"kubeconfig": "/etc/x", "delegates": [network], "auth": SECRET})
    write(cni / "10-own.conflist", {"inner": json.dumps({"secret": SECRET})})
    write(cni / "20-broken.conf", f"kind: Config\nusers: [{{token: {SECRET}}}]")
    write(cni / "multus.d/multus.kubeconfig", f"token: {SECRET}")
    write(cni / "multus.d/kubeconfig.json", {"anything": SECRET})
    write(cni / "multus.d/daemon-config.json", {"bearerTokenFile": SECRET, "logLevel": "debug"})
    write(config / "node.json", f'{{"functions": [], // Bearer {SECRET}\n "passwd": "{SECRET}"')
    write(config / "node.d/10.json", {"resources": [{"additionalInfo": {"*": {"KEY": SECRET}}}]})
    write(config / "config.json", {"resourceList": [], "apiToken": SECRET})
    write(tmp_path / "leases/n/10.1.0.5,3f2a91,net1", "")
    write(tmp_path / "leases/n/released", f"10.1.0.6\npassword={SECRET}\n")
    places = Places(
        data_dir=str(records),
        config_dir=str(config),
        config_file=str(config / "config.json"),
        kubelet_dir=str(tmp_path / "kubelet"),
    )
    return Sources(places, str(cni), str(tmp_path / "leases"), agent)


def contents(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle."""
    with tarfile.open(path) as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            assert member.mode == 0o600
            found[member.name.removeprefix("sriov-bundle/")] = file.read()
        return found


def test_no_secret_is_in_it_and_everything_else_is(sources: Sources, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    lacking = command.write(str(path), parts(sources, main))
    found = contents(path)
    for name, content in found.items():
        assert SECRET.encode() not in content, (name, content)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(found) == [*sorted(set(found) - {"index.txt"}), "index.txt"]
    record = json.loads(found[f"records/0000:3b:02.0,{OWNER}"])
    assert record["arguments"].startswith("K8S_POD_NAME=web;K8S_POD_NAMESPACE=prod;PASSWORD=")
    assert record["config"]["ipam"] == {
        "type": "own",
        "token": REMOVED,
        "server": f"https://{REMOVED}ipam/",
        "dns": [REMOVED],
    }
    assert record["config"]["args"] == {"cni": {"apiKey": REMOVED, "mac": "66:d8"}}
    for name in (f"damaged-0000:3b:02.1,{OWNER}", "unrestored,0000:3b:02.1", "3f2a91-net1"):
        assert f"records/{name}" in found
    assert found["records/pci/0000:3b:02.0"] == b"/var/run/netns/pod"
    assert json.loads(found["cni/00-multus.conf"])["kubeconfig"] == "/etc/x"
    assert json.loads(found["cni/daemon-config.json"])["logLevel"] == "debug"
    assert json.loads(found["leases.json"])["n/10.1.0.5,3f2a91,net1"] == ""
    assert found["metrics.txt"].startswith(b"sriov_up 1\n")
    assert json.loads(found["devices.json"])[PF]["sriov_totalvfs"] == "64"
    assert json.loads(found["versions.json"])["kernel"].startswith("Linux")
    assert [each["address"] for each in json.loads(found["sriovctl/vfs.json"])] == [
        Tree.vf(PF, 0),
        Tree.vf(PF, 1),
    ]
    assert {"sriovctl/status.json", "sriovctl/doctor.json", "network/links.json"} <= set(found)
    index = found["index.txt"].decode()
    assert index.count(": not there: ") == lacking
    assert "kubelet.json: not there: kubelet does not answer" in index
    assert "cni/20-broken.conf: not there: it is not JSON, and may hold secrets" in index
    assert not any("kubeconfig" in name for name in found)


@pytest.mark.parametrize(
    "text",
    [
        f"token={SECRET}",
        f"X-Auth-Token: {SECRET}",
        f"db_password = '{SECRET}'",
        f'{{"clientSecret" : "{SECRET}"',
        f'level=info msg="{{\\"password\\": \\"{SECRET}\\"}}"',
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
        f"run --registry-password {SECRET} --x",
        f"rd.luks.key={SECRET}",
        f"api_key:{SECRET}",
        f"https://user:{SECRET}@host/x",
        PEM,
        f"-----BEGIN CERTIFICATE-----\n{SECRET}",
        f'token: "{SECRET}',
        f'"tokens": ["a", "{SECRET}"',
        f"credentials: {{a: {{b: 1}}, x: {SECRET}",
        f'"credentials": {{\n"user": "me",\n"x": "{SECRET}"\n}}, "broken',
    ],
)
def test_secrets_in_text(text: str) -> None:
    said = without_secrets(f"before\n{text}\n".encode()).decode()
    assert SECRET not in said
    assert said.startswith("before\n")
    assert REMOVED in said


def test_tokens_are_known_by_their_form() -> None:
    signed = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmVk"
    assert without_secrets(f"a {signed} b abcdef.0123456789abcdef c".encode()) == (
        f"a {REMOVED} b {REMOVED} c".encode()
    )


KEYS = st.sampled_from(["token", "API-Key", "privateKey", "x_secret", "Password", "keys"])
INNER = st.recursive(
    st.just(SECRET) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def buried(levels: int = 4) -> st.SearchStrategy[Any]:
    """Values that have secrets under keys that tell so, and nothing secret elsewhere."""
    found: st.SearchStrategy[Any] = st.dictionaries(KEYS, INNER, max_size=2)
    for _ in range(levels):
        found = st.one_of(
            found,
            st.lists(found, max_size=3),
            st.dictionaries(st.sampled_from(["a", "config", "ipam"]), found, max_size=2),
            found.map(json.dumps),
        )
    return found


@given(buried())
def test_a_secret_is_found_however_deep_it_is(value: Any) -> None:
    assert SECRET.encode() not in without_secrets(json.dumps({"x": value}).encode())


@given(st.binary(max_size=2000))
def test_anything_can_be_searched_for_secrets(content: bytes) -> None:
    assert without_secrets(content) is not None


@pytest.mark.parametrize(
    "unit", ["token", "a.", "key ", '"', "\\", "x=", "https://", "-----BEGIN A-----"]
)
def test_a_megabyte_of_what_looks_like_secrets_takes_no_longer_than_a_part_may(unit: str) -> None:
    begin = time.process_time()
    without_secrets((unit * LARGEST)[:LARGEST].encode())
    assert time.process_time() - begin < command._PATIENCE / 3


def part(name: str, content: bytes = b"x", **more: Any) -> Part:
    return Part(name, "a test", lambda: content, **more)


def test_a_part_that_is_too_long_is_cut(tmp_path: Path) -> None:
    path, text = tmp_path / "b.tar.gz", b"a" + b"." * LARGEST + b"z"
    command.write(str(path), [part("first", text), part("last", text, at_end=True)])
    found = contents(path)
    assert [len(found[name]) for name in ("first", "last")] == [LARGEST, LARGEST]
    assert (found["first"][:1], found["last"][-1:]) == (b"a", b"z")
    assert b"cut from 1048578 bytes" in found["index.txt"]


def test_a_part_that_fails_or_hangs_is_a_line_of_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_PATIENCE", 0.2)

    def fail() -> bytes:
        raise AbsentError("there is no such thing")

    def hang() -> bytes:
        try:
            time.sleep(60)
        except TimeoutError:  # as a check of doctor's would be said to have failed
            time.sleep(60)
        return b""

    path = tmp_path / "b.tar.gz"
    broken = [Part("a", "here", fail), Part("b", "there", hang), part("c")]
    begin = time.monotonic()
    assert command.write(str(path), broken) == 2
    assert time.monotonic() - begin < 10
    assert contents(path)["index.txt"].decode().splitlines() == [
        "a: not there: there is no such thing (here)",
        "b: not there: it took more than 0.2 s (there)",
        "c: 1 bytes (a test)",
    ]


def test_a_file_that_is_there_stays_and_nothing_unfinished_does(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_text("mine")
    with pytest.raises(exits.Failed, match="is there already"):
        command.write(str(path), [part("a")])
    assert path.read_text() == "mine"
    with pytest.raises(exits.Failed, match="cannot be written: No such file or directory"):
        command.write(str(tmp_path / "none/b.tar.gz"), [part("a")])
    other = tmp_path / "c.tar.gz"

    def interrupted() -> bytes:
        other.write_text("somebody else's")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        command.write(str(other), [Part("a", "", interrupted)])
    assert sorted(os.listdir(tmp_path)) == ["b.tar.gz", "c.tar.gz"]
    assert other.read_text() == "somebody else's"


def test_the_list_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Tree(tmp_path / "sys").install(monkeypatch)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = CliRunner().invoke(main, ["--data-dir", "/none", "bundle", "--list"])
    assert os.listdir() == []
    assert result.exit_code == 0
    assert "network/links.json" in result.stdout
    assert "ip -d -j link show" in result.stdout


def test_too_many_files_of_a_directory_are_said(tmp_path: Path) -> None:
    for number in range(2003):
        (tmp_path / f"{number:04}").touch()
    sources = Sources(Places(data_dir=str(tmp_path)), "/none", "/none")
    listed = parts(sources, click.Command("none"))
    (more,) = [each for each in listed if each.name == "records/others"]
    with pytest.raises(AbsentError, match="3 more files are left out"):
        more.take()

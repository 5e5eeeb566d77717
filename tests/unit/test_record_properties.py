# SPDX-License-Identifier: Apache-2.0
"""Records that may be anybody's: read as they were written, or refused; never believed half."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriov_cni.attachment.record import Record
from sriov_cni.attachment.records import AttachmentRecords, UnreadableError
from sriov_cni.cni import log
from sriov_cni.cni.call import Arguments
from sriov_cni.cni.document import DEEPEST, decode
from sriov_cni.cni.owner import Owner
from sriov_cni.device.pci import PciFunction
from sriov_cni.device.snapshot import Device, Snapshot
from sriov_cni.kernel.links import Settings
from sriov_cni.kernel.sysfs import is_pci_address
from sriov_cni.kernel.vfs import VfAttributes
from tests.values import VALUES

ADDRESS = "0000:3b:02.1"
NAME = f"{ADDRESS},pod,net1"
OWNER = Owner("pod", "net1")
U32 = st.integers(0, (1 << 32) - 1)
macs = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
device_names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=15
)
settings = st.builds(
    Settings,
    U32,
    st.none() | macs,
    *[st.none() | U32] * 2,
    st.none() | st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=30),
    *[st.none() | U32] * 6,
)
devices = st.builds(
    Device,
    device_names,
    st.lists(device_names, max_size=3).map(tuple),
    macs,
    U32,
    st.booleans(),
    st.just("") | st.just(ADDRESS),
    st.none() | settings,
)
attributes = st.builds(
    VfAttributes,
    st.none() | macs,
    st.none() | U32,
    st.none() | U32,
    st.sampled_from([None, "802.1q", "802.1ad"]),
    st.none() | st.booleans(),
    st.none() | st.booleans(),
    st.sampled_from([None, "auto", "enable", "disable"]),
    st.none() | U32,
    st.none() | U32,
)
identifiers = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,30}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
arguments = st.sampled_from(["", "IP=10.1.0.2;VF=1", "IgnoreUnknown=1"]) | st.builds(
    "{}={}".format,
    st.text("abcXYZ", min_size=1, max_size=9),
    texts.map(lambda t: t.replace(";", "")),
)
any_records = st.builds(
    Record,
    owner=st.just(OWNER),
    netns=texts,
    network=identifiers,
    boot=texts,
    function=st.builds(PciFunction, texts, st.none() | st.integers(0, 65535), st.just(ADDRESS)),
    before=st.builds(Snapshot, st.none() | devices, st.none() | attributes),
    arguments=arguments.map(Arguments.parse),
    config=st.dictionaries(texts, texts, max_size=2),
    granted=st.booleans(),
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state directory; what the plugin says of damaged records goes into a file beside it."""
    directory = tmp_path_factory.mktemp("state")
    log.configure("info", f"{directory}/log")
    yield directory / "sriov"
    log.configure("info", None)


def records_with(state: Path, name: str, content: bytes) -> AttachmentRecords:
    """Return records in which there is just one file."""
    records = AttachmentRecords(str(state), create=True)
    for old in state.iterdir():
        old.unlink()
    (state / name).write_bytes(content)
    return records


@given(any_records)
def test_a_record_is_read_as_it_was_written(state: Path, record: Record) -> None:
    records = records_with(state, NAME, record.encode())
    assert records.find(OWNER) == record


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels > 1 else {}


@given(any_records)
def test_a_record_holds_the_deepest_configuration(state: Path, record: Record) -> None:
    config = decode(json.dumps(nested(DEEPEST)).encode(), "the configuration")
    records = records_with(state, NAME, record._replace(config=config).encode())
    assert records.find(OWNER) == record._replace(config=config)


def replaced(document: Any, place: int, value: Any) -> Any:
    """Return a document with the value at a place replaced; places are counted, and wrap."""
    slots: list[tuple[Any, Any]] = []

    def collect(parent: Any) -> None:
        for key, item in parent.items() if isinstance(parent, dict) else enumerate(parent):
            slots.append((parent, key))
            if isinstance(item, dict | list):
                collect(item)

    collect(document)
    parent, key = slots[place % len(slots)]
    if value is ...:
        del parent[key]
    else:
        parent[key] = value
    return document


def assert_whole(record: Record) -> None:
    """Check that nothing in a record is of another type than those who use it expect."""
    device, attributes = record.before
    assert is_pci_address(record.function.address)
    assert type(record.function.vf) in (int, type(None))
    words = [*record.owner, record.netns, record.network, record.boot, record.function.pf]
    words += [record.arguments.text, *record.arguments.values, *record.arguments.values.values()]
    if device is not None:
        words += [device.name, *device.alternative_names, device.parent]
        assert (type(device.mtu), type(device.up)) == (int, bool)
        assert len(bytes.fromhex(device.mac.replace(":", ""))) == 6
        for name, value in device.settings._asdict().items() if device.settings else ():
            kind = str if name in ("alias", "broadcast") else int
            assert type(value) is kind or (value is None and name != "flags")
    assert all(isinstance(word, str) and "\0" not in word for word in words)
    assert "/" not in record.network
    assert isinstance(record.config, dict)
    if attributes is not None:
        texts = (attributes.mac, attributes.vlan_proto, attributes.link_state)
        assert all(isinstance(text, str | None) for text in texts)
        flags = (attributes.spoofchk, attributes.trust)
        assert all(type(flag) in (bool, type(None)) for flag in flags)
        rates = (attributes.min_tx_rate, attributes.max_tx_rate)
        numbers = (attributes.vlan, attributes.vlan_qos, *rates)
        assert all(type(number) in (int, type(None)) for number in numbers)


def found_or_refused(look: Callable[[], Record | None]) -> Record | None:
    """Return what a look finds, None also where it says that it cannot read it."""
    try:
        return look()
    except UnreadableError:
        return None


def is_looked_at_by_everybody(state: Path, name: str, content: bytes) -> None:
    """Look at one file in all ways there are; what is returned is whole, and the file stays."""
    records = records_with(state, name, content)
    found = [
        found_or_refused(lambda: records.find(OWNER)),
        found_or_refused(lambda: records.claimant(ADDRESS)),
    ]
    records.owners_in("mynet")
    assert records.claimed_addresses() == {name.partition(",")[0]}
    assert os.listdir(state) == [name]
    for record in found:
        if record is not None:
            assert_whole(record)


@given(any_records, st.integers(0, 200), st.sampled_from((*VALUES, ...)))
def test_a_record_with_any_value_replaced_is_read_or_refused(
    state: Path, record: Record, place: int, value: Any
) -> None:
    content = json.dumps(replaced(json.loads(record.encode()), place, value)).encode()
    is_looked_at_by_everybody(state, NAME, content)


@given(any_records, st.integers(0, 10_000), st.binary(max_size=3), st.integers(0, 5))
def test_a_record_with_any_bytes_replaced_is_read_or_refused(
    state: Path, record: Record, place: int, new: bytes, length: int
) -> None:
    whole = record.encode()
    place %= len(whole)
    is_looked_at_by_everybody(state, NAME, whole[:place] + new + whole[place + length :])


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_by_who_asks_for_them(state: Path, content: bytes) -> None:
    is_looked_at_by_everybody(state, NAME, content)
    records = AttachmentRecords(str(state), create=True)
    with pytest.raises(UnreadableError):
        records.find(OWNER)
    with pytest.raises(UnreadableError):
        records.claimant(ADDRESS)


@given(any_records)
def test_a_record_under_another_name_is_refused(state: Path, record: Record) -> None:
    records = records_with(state, f"{ADDRESS},other,net1", record.encode())
    with pytest.raises(UnreadableError):
        records.find(Owner("other", "net1"))


@given(any_records, st.dictionaries(texts, texts, max_size=2))
def test_keys_that_are_not_known_are_passed_over(
    state: Path, record: Record, more: dict[str, Any]
) -> None:
    written = json.loads(record.encode())
    parts = [written, written["attachment"], written["function"], written["before"]]
    for part in parts:
        for key in more.keys() - part.keys():
            part[key] = more[key]
    records = records_with(state, NAME, json.dumps(written).encode())
    assert records.find(OWNER) == record


@given(any_records, st.integers(2, 1 << 70))
def test_a_newer_format_is_told_from_damage(state: Path, record: Record, form: int) -> None:
    written = json.loads(record.encode()) | {"format": form, "before": "otherwise"}
    records = records_with(state, NAME, json.dumps(written).encode())
    with pytest.raises(UnreadableError) as refused:
        records.find(OWNER)
    assert refused.value.newer
    assert refused.value.network == record.network


@given(any_records)
def test_what_was_refused_is_noted_until_it_is_forgotten(state: Path, record: Record) -> None:
    records = records_with(state, NAME, record.encode())
    record = record._replace(boot=records.boot)
    records.write(record)
    note = records.note_unrestored(record, ["setting MAC: Invalid argument (EINVAL)"])
    records.remove(record)
    assert json.loads(Path(note).read_text())["refused"] == [
        "setting MAC: Invalid argument (EINVAL)"
    ]
    records.note_unrestored(record._replace(network="later"), [])
    assert records.unrestored(ADDRESS) == record
    records.forget_unrestored(ADDRESS)
    assert records.unrestored(ADDRESS) is None
    assert not os.path.exists(note)


@given(st.binary(max_size=100))
def test_a_note_that_cannot_be_read_is_removed(state: Path, content: bytes) -> None:
    records = records_with(state, f"unrestored,{ADDRESS}", content)
    assert records.unrestored(ADDRESS) is None
    assert os.listdir(state) == []


CLIMBING = {
    "function": {"pf": "eth1", "vf": 0, "address": "../../victim"},
    "network": "../../etc",
    "attachment": {"container_id": "pod", "ifname": "net1", "netns": "/a\0b"},
    "arguments": "IP=\0",
    "before": {"device": None, "attributes": []},
}


@pytest.mark.parametrize("key", CLIMBING)
def test_a_returned_record_does_not_climb(tmp_path: Path, key: str) -> None:
    values = {
        "format": 1,
        "attachment": {"container_id": "pod", "ifname": "net1", "netns": ""},
        "network": "mynet",
        "boot": "",
        "function": {"pf": "eth1", "vf": 0, "address": ADDRESS},
        "before": {"device": None, "attributes": None},
        "arguments": "",
        "config": {},
    }
    log.configure("panic", None)
    assert records_with(tmp_path, "returned,pod,net1", json.dumps(values).encode()).find(OWNER)
    hostile = json.dumps(values | {key: CLIMBING[key]}).encode()
    with pytest.raises(UnreadableError):
        records_with(tmp_path, "returned,pod,net1", hostile).find(OWNER)
    log.configure("info", None)


@given(
    st.text("0123456789abcdefABCDEF:.", max_size=16)
    | st.from_regex(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]", fullmatch=True)
)
def test_what_is_a_pci_address_has_a_lock(state: Path, text: str) -> None:
    if is_pci_address(text):
        records = AttachmentRecords(str(state), create=True)
        assert records.try_lock(text)
        records.unlock(text)

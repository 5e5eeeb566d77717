# SPDX-License-Identifier: Apache-2.0
"""Changing a case as an enemy would who knows the formats: JSON stays JSON, most of the time.

Bytes changed at random rarely get past the decoder. Here values, keys and variables are replaced
by hostile ones, or by others of the same document, and the result is still read to its end.
"""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import atheris

from tests.hostile.case import SEPARATOR
from tests.values import KEYS, VALUES

VARIABLES = ("CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH")
COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")
ARGUMENTS = ("VF", "MAC", "VLAN", "IP", "IgnoreUnknown", "K8S_POD_NAME", "x")
Slot = tuple[Any, Any]  # a list or object, and the index or key of a value in it


def mutate(data: bytes, largest: int, seed: int) -> bytes:
    """Return the data changed, as libFuzzer's custom mutators do."""
    chance = random.Random(seed)
    if chance.random() < 0.1:
        return bytes(atheris.Mutate(data, largest))
    parts = data.split(SEPARATOR)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(parts))
        parts[place] = _mutate_part(parts[place], place == 0, largest, chance)
    changed = SEPARATOR.join(parts)
    return changed if len(changed) <= largest else data


def _mutate_part(part: bytes, first: bool, largest: int, chance: random.Random) -> bytes:
    if first:
        return _mutate_environment(part, chance)
    try:
        document = json.loads(part)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or chance.random() < 0.05:
        return bytes(atheris.Mutate(part, largest))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        _mutate_document(document, chance)
    text = json.dumps(document, ensure_ascii=chance.random() < 0.5)
    return text.encode(errors="surrogatepass")


def _mutate_environment(block: bytes, chance: random.Random) -> bytes:
    entries = dict(e.split(b"=", 1) for e in block.split(b"\0") if b"=" in e)
    name = chance.choice([*entries, *(v.encode() for v in VARIABLES)])
    if name == b"CNI_COMMAND":
        entries[name] = chance.choice(COMMANDS).encode()
    elif name == b"CNI_ARGS":
        pairs = [
            f"{chance.choice(ARGUMENTS)}={chance.choice((_text(chance), '1', '0'))}"
            for _ in range(chance.randrange(4))
        ]
        entries[name] = _bytes(";".join(pairs))
    elif chance.random() < 0.2:
        entries.pop(name, None)
    else:
        entries[name] = _bytes(_text(chance))
    return b"\0".join(b"%s=%s" % pair for pair in entries.items())


def _value(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(VALUES))


def _text(chance: random.Random) -> str:
    value = chance.choice(VALUES)
    return value if isinstance(value, str) else json.dumps(value)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass").replace(b"\0", b"\xff")


def _slots(value: Any) -> Iterator[Slot]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list):
            yield from _slots(item)


def _mutate_document(document: dict[str, Any], chance: random.Random) -> None:
    slots = list(_slots(document))
    holder, key = chance.choice(slots) if slots else (document, "name")
    match chance.randrange(6):
        case 0 | 1:
            holder[key] = _value(chance)
        case 2 if slots:
            other, other_key = chance.choice(slots)
            holder[key] = copy.deepcopy(other[other_key])
        case 3 if slots:
            del holder[key]
        case 4:
            objects = [document, *(h[k] for h, k in slots if isinstance(h[k], dict))]
            known = chance.choice([*KEYS, *(str(k) for _, k in slots)])
            chance.choice(objects)[known] = _value(chance)
        case _:
            text = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(text, str) and text:
                cut = chance.randrange(len(text))
                holder[key] = text[:cut] + str(_text(chance)) + text[cut:]
            else:
                holder[key] = _value(chance)

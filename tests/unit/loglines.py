# SPDX-License-Identifier: Apache-2.0
"""Lines of the log, read back as an operator's tools read them; values that try to forge some."""

import json
import re
from typing import Any

from hypothesis import strategies as st

_PAIR = r'(\w+)=([\w.:/-]+|"(?:[^"\\]|\\.)*")'
VALUES = st.one_of(
    st.integers(),
    st.text(st.characters(exclude_categories=()), max_size=50),
    st.text(st.sampled_from('a= "\\\n'), max_size=20),
    st.sampled_from(["", "x outcome=ok", 'x" outcome="ok', "x\\", "\nx", "x\u2028y", "\ud800"]),
)


def values_of(line: str) -> dict[str, Any]:
    """Return the keys and values of a line of either format; text has all values as strings."""
    if line.startswith("{"):
        found = json.loads(line)
        head = [found.pop(key) for key in ("time", "level", "plugin", "pid")]
        assert all(head)
        return dict(found)
    text = line.partition("]: ")[2].rstrip("\n")
    assert re.fullmatch(rf"({_PAIR}( {_PAIR})*)?", text, re.ASCII), text
    pairs = re.findall(_PAIR, text, re.ASCII)
    return {key: json.loads(value) if value[0] == '"' else value for key, value in pairs}

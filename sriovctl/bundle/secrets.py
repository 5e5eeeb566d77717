# SPDX-License-Identifier: Apache-2.0
"""Removing secrets from what is to be shown to others: by the names of keys, and by their form.

Rather too much goes than too little: a name that only looks like a secret's costs a bug report
nothing.
"""

import json
import re
from typing import Any

REMOVED = "(removed)"
_WORDS = "token|passw|passphrase|pwd|secret|credential|private|auth|bearer|cookie|api-?_?key"
_KEY = re.compile(rf"{_WORDS}|community|certificate|key(?:s|[-_]?data)?$", re.IGNORECASE)
# Possessive quantifiers and bounds: what is searched may be a megabyte of anything.
_VALUE = (
    r'(?:\\*"(?:[^"\\]|\\[^"])*+(?:\\*"|\Z)'
    r"|'[^']*+(?:'|\Z)"
    r"|[\[{][^\]}]*+[^\n]*+"  # the rest of a list or an object, as far as that can be told
    r"|[^\s,;}\]\"']++)"
)
_FORMS = (
    re.compile(
        r"-----BEGIN [A-Z0-9 ]{1,64}-----.*?(?:-----END [A-Z0-9 ]{1,64}-----|\Z)", re.DOTALL
    ),
    re.compile(r"(?i)\b(?:bearer|basic)\s{1,8}[\w+/=.~-]{4,}+"),
    re.compile(r"\beyJ[\w-]{6,}+\.[\w-]++(?:\.[\w-]*+)?"),  # RFC 7519
    re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),  # a bootstrap token of Kubernetes
    re.compile(r"(?<=://)[^/\s@\"']{1,512}@"),  # a user in a URL
)
_NAMED = re.compile(
    rf"((?:{_WORDS}|key(?:s|[-_]?data)?(?=[\"'\\\s:=]))[\w.-]{{0,64}}+[\"'\\]{{0,4}}"
    rf"(?:\s{{0,8}}[:=]\s{{0,8}}|(?<=[\w-])\s{{1,8}}(?=\S)))({_VALUE})",
    re.IGNORECASE,
)


def without_secrets(content: bytes) -> bytes:
    """Return text or JSON without secrets; text that is no UTF-8 is replaced."""
    text = content.decode("utf-8", "replace")
    value = _decoded(text)
    if value is None:
        return _of_text(text).encode()
    return json.dumps(_of_value(value), indent=1).encode() + b"\n"


def _of_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _of_named(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_of_value(item) for item in value]
    if isinstance(value, str):
        inner = _decoded(value)
        return _of_text(value) if inner is None else json.dumps(_of_value(inner))
    return value


def _of_named(key: str, value: Any) -> Any:
    if isinstance(value, bool) or value in (None, "", [], {}) or _KEY.search(key) is None:
        return _of_value(value)
    return REMOVED


def _of_text(text: str) -> str:
    for form in _FORMS:
        text = form.sub(REMOVED, text)
    return _NAMED.sub(rf"\1{REMOVED}", text)


def _decoded(text: str) -> Any:
    """Return the object, list or string that a text is as JSON, None if it is none."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None

# SPDX-License-Identifier: Apache-2.0
"""Regular expressions that are compiled when they are used; in a call without errors none is.

json and netaddr have constants of them. But json skips white space with one in every document; that
one is done by hand.
"""

from typing import Any

from startup.finder import real

IGNORECASE, MULTILINE, DOTALL, VERBOSE = 2, 8, 16, 64
_JSONS_SPACE = r"[ \t\n\r]*"


def compile(pattern: str, flags: int = 0) -> "_Pattern | type[_Space]":
    """Return what will match like the expression."""
    return _Space if pattern == _JSONS_SPACE else _Pattern(pattern, flags)


class _Pattern:
    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def match(self, *arguments: Any) -> Any:
        """Match at the beginning: json's decoder has this method as a default value."""
        return self._compiled().match(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled(), name)

    def _compiled(self) -> Any:
        return real("re").compile(*self._arguments)


class _Space:
    """White space: the expression and, of a text from a place on, its match."""

    @classmethod
    def match(cls, text: str, begin: int) -> "_Space":
        """Match json's expression."""
        return cls(text, begin)

    def __init__(self, text: str, begin: int) -> None:
        self._end = begin
        while text[self._end : self._end + 1] in (" ", "\t", "\n", "\r"):
            self._end += 1

    def end(self) -> int:
        """Return the place after it."""
        return self._end

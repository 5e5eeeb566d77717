# SPDX-License-Identifier: Apache-2.0
"""The abstract classes that `os` derives its environment and PathLike from.

The real module makes 25 classes. Left out: all others, and every method of a mapping that the
environment is not asked for here.
"""

from typing import Any


class Mapping:
    """A mapping, as `os.environ` is one."""

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or the default."""
        try:
            return self[key]  # type: ignore[index]
        except KeyError:
            return default

    def items(self) -> Any:
        """Return keys and values."""
        return [(key, self[key]) for key in self]  # type: ignore[attr-defined, index]


MutableMapping = Mapping


def _check_methods(*_: object) -> object:
    return NotImplemented

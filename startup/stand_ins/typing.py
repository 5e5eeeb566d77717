# SPDX-License-Identifier: Apache-2.0
"""Types, which nobody checks here, and NamedTuple, for which the real module compiles source.

Each name but NamedTuple is the same object, of which everything may be asked that annotations ask.
"""

from _collections import _tuplegetter  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Anything:
    def __getitem__(self, _: object) -> "_Anything":
        return self

    def __call__(self, *_: object, **__: object) -> "_Anything":
        return self

    def __or__(self, _: object) -> "_Anything":
        return self

    __ror__ = __or__

    def register(self, kind: type) -> type:
        return kind  # array does so, with what collections.abc has from here


_ANYTHING = _Anything()


def __getattr__(_: str) -> _Anything:
    return _ANYTHING


def _new(cls: "Any", *values: object, **named: object) -> "Any":
    if named or len(values) != len(cls._fields):
        given = dict(zip(cls._fields, values, strict=False))
        everything = cls._field_defaults | given | named
        if len(given) < len(values) or set(everything) != set(cls._fields) or given.keys() & named:
            raise TypeError(f"{cls.__name__} takes {', '.join(cls._fields)}")
        values = tuple(everything[field] for field in cls._fields)
    return tuple.__new__(cls, values)


def _replace(self: "Any", **named: object) -> "Any":
    return _new(type(self), **{**self._asdict(), **named})


def _asdict(self: "Any") -> dict[str, object]:
    return dict(zip(self._fields, self, strict=True))


class _NamedTupleMeta(type):
    def __new__(mcs, name: str, bases: tuple[type, ...], members: "dict[str, Any]") -> "Any":
        if not bases:
            return type.__new__(mcs, name, bases, members)
        fields = tuple(members.get("__annotations__", ()))
        defaults = {field: members[field] for field in fields if field in members}
        for place, field in enumerate(fields):
            members[field] = _tuplegetter(place, "")
        members |= {"_fields": fields, "_field_defaults": defaults, "__slots__": ()}
        members |= {"__new__": _new, "_replace": _replace, "_asdict": _asdict}
        return type(name, (tuple,), members)


class NamedTuple(metaclass=_NamedTupleMeta):
    """A class of tuples with named fields, of the annotations in its body (until Python 3.13)."""

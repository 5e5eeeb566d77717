# SPDX-License-Identifier: Apache-2.0
"""Start-up of the frozen executables: all that has to happen before their first import.

build.spec runs this in the place of PyInstaller's own bootstrap; programs run from source never see
it. A CNI plugin lives for some tens of milliseconds, most of which would go into starting. So all
modules come from one file, what libraries import for purposes nobody has here is replaced by as
much of it as they touch, and nothing is tidied up at the end. What each section gains is in
docs/performance.md.
"""

# ruff: noqa: E402, S102, S302 - order matters, and this is what importers do
import gc
import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec
from _imp import create_dynamic, exec_dynamic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# --- Nothing is tidied up: the process ends before its garbage is worth collecting, and its end
# frees everything at once. All output is unbuffered.
gc.disable()
sys.exit = posix._exit  # type: ignore[assignment]

# --- One file has all modules, as name: (whether it is a package, its code). Extension modules have
# None and their path there. Python's own importers would look in three places, open a file for each
# module, and decompress it.
_HOME = sys._MEIPASS  # type: ignore[attr-defined]


def _read(file: str) -> "dict[str, tuple[bool | None, Any]]":
    with open(f"{_HOME}/{file}", "rb") as opened:
        return marshal.load(opened)  # type: ignore[no-any-return]


_MODULES = _read("modules")


class _Importer:
    """Finds and loads what build.spec put into the file (PEP 451)."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name not in _MODULES and "encodings" not in _MODULES:
            _MODULES.update(_read("more"))  # something unusual happens
        if name not in _MODULES:
            return None
        is_package, code = _MODULES[name]
        origin = f"{_HOME}/{code}" if is_package is None else None
        return ModuleSpec(name, _IMPORTER, origin=origin, is_package=bool(is_package))

    def create_module(self, spec: "Any") -> "ModuleType | None":
        return create_dynamic(spec) if spec.origin else None

    def exec_module(self, module: "ModuleType") -> None:
        if _MODULES[module.__name__][0] is None:
            exec_dynamic(module)
        else:
            exec(marshal.loads(_MODULES[module.__name__][1]), vars(module))


_IMPORTER: "Any" = _Importer()
sys.meta_path.insert(2, _IMPORTER)  # after those for what Python itself has
sys.frozen = True  # type: ignore[attr-defined]


def _provide(name: str, **attributes: object) -> "Any":
    """Make a module that has just these attributes; its submodules, if any, are the real ones."""
    module = type(sys)(name)
    vars(module).update(attributes, __path__=[])
    sys.modules[name] = module
    return module


def _nothing(*_: object, **__: object) -> str:
    return ""


# --- The packages' own __init__ modules import everything they have.
_pyroute2 = _provide("pyroute2")
_provide("netaddr")

# --- Settings of pyroute2's sockets, which it finds out with multiprocessing and platform.
_pyroute2.config = _provide(
    "pyroute2.config", AF_BRIDGE=7, data_plugins_pkgs=[], data_plugins_path=[]
)

# --- How pyroute2 decodes what is special to kinds of links; it decodes only what is looked at.
for _kind in (
    *("bond", "can", "geneve", "gtp", "ipoib", "ipvlan", "team", "tun", "tuntap"),
    *("vlan", "vrf", "vti", "vti6", "vxlan", "xfrm"),
):
    _provide(f"pyroute2.netlink.rtnl.ifinfmsg.plugins.{_kind}", **{_kind: None})

# --- pyroute2 logs what it cannot decode, netaddr prints objects of its registries.
_logging = _provide("logging", error=_nothing, warning=_nothing)
_logging.getLogger = lambda *_: _logging
_provide("traceback", format_exc=_nothing, format_stack=_nothing)
_provide("pkgutil")
_provide("importlib")
_provide("pprint", pformat=repr)

# --- Modules in C whose wrapping in Python costs more than they do: enumerations of all constants,
# classes that wait for things, dictionaries of types.
import _collections  # type: ignore[import-not-found]
import _collections_abc
import _socket
import _thread
import _weakref


class _Socket(_socket.socket):
    def __enter__(self) -> "_Socket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_provide("socket", **{**vars(_socket), "socket": _Socket, "AddressFamily": int, "has_ipv6": True})
_provide(
    "threading",
    local=_thread._local,
    _shutdown=_nothing,
    Lock=_thread.allocate_lock,
    RLock=_thread.RLock,
)
_provide("weakref", proxy=_weakref.proxy, ref=_weakref.ref)
sys.modules["collections.abc"] = _collections_abc
_provide(
    "collections",
    abc=_collections_abc,
    OrderedDict=_collections.OrderedDict,
    defaultdict=_collections.defaultdict,
    deque=_collections.deque,
    namedtuple=lambda *_, **__: tuple,  # functools has one, for the statistics of caches
)


_provide("reprlib", recursive_repr=lambda *_: lambda function: function)


# --- Calling one function of libc; ctypes has a type for everything.
class _Library:
    def __init__(self, name: str | None, use_errno: bool) -> None:
        _ctypes: Any = __import__("_ctypes")

        class Integer(_ctypes._SimpleCData):  # type: ignore[misc]
            _type_ = "i"

        class Function(_ctypes.CFuncPtr):  # type: ignore[misc]
            _flags_ = _ctypes.FUNCFLAG_CDECL | (_ctypes.FUNCFLAG_USE_ERRNO if use_errno else 0)
            _restype_ = Integer

        self._handle = _ctypes.dlopen(name, 0)
        self._function = Function

    def __getattr__(self, name: str) -> "Any":
        return self._function((name, self))


def _get_errno() -> int:
    from _ctypes import get_errno

    return get_errno()


_provide("ctypes", CDLL=_Library, get_errno=_get_errno)


# --- Regular expressions, compiled when they are used, which in a call without errors none is. That
# takes json to skip white space without one.
class _Pattern:
    def __init__(self, *arguments: "Any") -> None:
        self._arguments = arguments

    def __getattr__(self, name: str) -> "Any":
        if name == "match":  # default values of arguments in json.decoder
            return lambda *text: _real_re().compile(*self._arguments).match(*text)
        return getattr(_real_re().compile(*self._arguments), name)


def _real_re() -> "Any":
    if sys.modules["re"] is _re:
        del sys.modules["re"]
    import re

    return re


_re = _provide("re", compile=_Pattern, VERBOSE=64, MULTILINE=8, DOTALL=16, IGNORECASE=2)
_re.__getattr__ = lambda name: getattr(_real_re(), name)


class _Space:
    def __init__(self, text: str, begin: int) -> None:
        self._end = begin
        while text[self._end : self._end + 1] in (" ", "\t", "\n", "\r"):
            self._end += 1

    def end(self) -> int:
        return self._end


# --- Types: annotations are read by no one here, and NamedTuple compiles source for each class.
class _Anything:
    def __getitem__(self, _: object) -> "_Anything":
        return self

    def __call__(self, *_: object, **__: object) -> "_Anything":
        return self

    def __or__(self, _: object) -> "_Anything":
        return self

    __ror__ = __or__


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
            members[field] = _collections._tuplegetter(place, "")
        members |= {"_fields": fields, "_field_defaults": defaults, "__slots__": ()}
        members |= {"__new__": _new, "_replace": _replace, "_asdict": _asdict}
        return type(name, (tuple,), members)


_provide(
    "typing",
    __getattr__=lambda _: _Anything(),
    NamedTuple=_NamedTupleMeta("NamedTuple", (), {}),
    TYPE_CHECKING=False,
)

import json.decoder

json.decoder.JSONDecoder.decode.__defaults__ = (_Space,)

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
from _imp import create_dynamic, exec_dynamic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

# --- Nothing is tidied up: the process ends before its garbage is worth collecting, and its end
# frees everything at once. All output is unbuffered.
gc.disable()
sys.exit = posix._exit  # type: ignore[assignment]

# --- One file has the code of all modules, another one says where: name: (whether it is a package,
# place, size). Extension modules have None and their path there. Python's own importers would look
# in three places, open a file for each module, decompress it, and lock it against other threads.
_importlib: "Any" = sys.modules["_frozen_importlib"]
_HOME = sys._MEIPASS  # type: ignore[attr-defined]


def _read(file: str, size: int, place: int) -> bytes:
    # never kept open: a child process closes whatever it does not know
    opened = posix.open(f"{_HOME}/{file}", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.pread(opened, size, place)
    finally:
        posix.close(opened)


_INDEX: "dict[str, tuple[bool, int, int] | tuple[None, str, int]]"
_INDEX = marshal.loads(_read("index", 1 << 20, 0))


def _find_and_load(name: str, importing: "Callable[..., ModuleType]") -> "ModuleType":
    """Import a module that sys.modules does not have, and its package first."""
    if name not in _INDEX:
        return _pythons_own(name, importing)
    parent, _, child = name.rpartition(".")
    if parent and parent not in sys.modules:
        importing(parent)
        if name in sys.modules:
            return sys.modules[name]
    module = sys.modules[name] = _module(name, parent)
    try:
        match _INDEX[name]:
            case None, _, _:
                exec_dynamic(module)
            case _, int(place), size:
                exec(marshal.loads(_read("modules", size, place)), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    if parent:
        setattr(sys.modules[parent], child, module)
    return module


def _module(name: str, parent: str) -> "ModuleType":
    is_package, path, _ = _INDEX[name]
    if is_package is None:
        origin = f"{_HOME}/{path}"
        return create_dynamic(_importlib.ModuleSpec(name, None, origin=origin))
    module = type(sys)(name)
    module.__package__ = name if is_package else parent
    if is_package:
        module.__path__ = []
    return module


_pythons_own: "Callable[..., ModuleType]" = _importlib._find_and_load
_importlib._find_and_load = _find_and_load
sys.frozen = True  # type: ignore[attr-defined]


def _provide(name: str, **attributes: object) -> "Any":
    """Make a module that has just these attributes, and gets what else is wanted when it is.

    That comes from the real module, which is imported then, if build.spec has left it in. Its
    submodules, if any, are the real ones.
    """
    module = type(sys)(name)

    def missing(attribute: str) -> object:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if sys.modules[name] is module:
            del sys.modules[name]
        return getattr(__import__(name, fromlist=["*"]), attribute)

    vars(module).update({"__path__": [], "__getattr__": missing} | attributes)
    sys.modules[name] = module
    return module


def _nothing(*_: object, **__: object) -> str:
    return ""


# --- The packages' own __init__ modules import everything they have.
_provide("pyroute2")
_provide("netaddr")

# --- pyroute2 logs what it cannot decode, netaddr prints objects of its registries.
_logging = _provide("logging", error=_nothing, warning=_nothing)
_logging.getLogger = lambda *_: _logging
_provide("traceback", format_exc=_nothing, format_stack=_nothing)
_provide("pprint", pformat=repr)


# --- Types: annotations are read by no one here, and NamedTuple compiles source for each class.
class _Anything:
    def __getitem__(self, _: object) -> "_Anything":
        return self

    def __call__(self, *_: object, **__: object) -> "_Anything":
        return self

    def __or__(self, _: object) -> "_Anything":
        return self

    def register(self, kind: type) -> type:  # array does so with its one class
        return kind

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
_provide("collections.abc", __getattr__=lambda _: _Anything())


# --- Modules in C whose wrapping in Python costs more than they do: enumerations of all constants,
# classes that wait for things, dictionaries of types, statistics of caches.
import _collections  # type: ignore[import-not-found]
import _functools  # type: ignore[import-not-found]
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
_provide("weakref", proxy=_weakref.proxy)
_provide("collections", OrderedDict=_collections.OrderedDict)
_provide(
    "functools",
    cache=lambda function: _functools._lru_cache_wrapper(function, None, False, tuple),
    partial=_functools.partial,
    reduce=_functools.reduce,
)
_provide("types", FunctionType=type(_nothing))


# --- What os takes from the abstract classes of collections, of which there are 25.
class _Mapping:
    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def get(self, key: str, default: "Any" = None) -> "Any":
        try:
            return self[key]  # type: ignore[index]
        except KeyError:
            return default

    def items(self) -> "Any":
        return [(key, self[key]) for key in self]  # type: ignore[attr-defined, index]


_provide(
    "_collections_abc",
    Mapping=_Mapping,
    MutableMapping=_Mapping,
    _check_methods=lambda *_: NotImplemented,
)


# --- The two parts of contextlib that are used, without its abstract classes.
class _Manager:
    def __init__(self, generator: "Any") -> None:
        self._generator = generator

    def __enter__(self) -> object:
        return next(self._generator)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if error is None:
            next(self._generator, None)
            return False
        try:
            self._generator.throw(error)
        except StopIteration:
            return True
        except BaseException as raised:
            if raised is error:
                return False
            raise
        raise RuntimeError("a context manager went on after an error")


class _Suppress:
    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._errors)


def _contextmanager(function: "Callable[..., Any]") -> "Callable[..., _Manager]":
    return lambda *arguments, **named: _Manager(function(*arguments, **named))


_provide("contextlib", contextmanager=_contextmanager, suppress=_Suppress)


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
            return lambda *text: self._compiled().match(*text)
        return getattr(self._compiled(), name)

    def _compiled(self) -> "Any":
        return _re.__getattr__("compile")(*self._arguments)


_re = _provide("re", compile=_Pattern, VERBOSE=64, MULTILINE=8, DOTALL=16, IGNORECASE=2)


class _Space:
    def __init__(self, text: str, begin: int) -> None:
        self._end = begin
        while text[self._end : self._end + 1] in (" ", "\t", "\n", "\r"):
            self._end += 1

    def end(self) -> int:
        return self._end


import json.decoder

json.decoder.JSONDecoder.decode.__defaults__ = (_Space,)

# SPDX-License-Identifier: Apache-2.0
"""The files that startup/finder.py finds modules in; written when the executables are built.

`modules` has the code of all modules, one after the other. `index` says where: two dictionaries,
of stand-ins and of ordinary modules, with for each name whether it is a package, the place of its
code and the size of that, which is 0 if there is nothing to execute. Extension modules stay in
files of their own: they have None, their path in the bundle, and 0.
"""

import marshal
from pathlib import Path
from typing import NamedTuple

STAND_INS = Path(__file__).with_name("stand_ins")


class Module(NamedTuple):
    """A module in Python: whether it is a package, and its code, marshalled; empty for none."""

    is_package: bool
    code: bytes


class Extension(NamedTuple):
    """A module in C: its path in the bundle."""

    path: str


Modules = dict[str, Module | Extension]
Entry = tuple[bool, int, int] | tuple[None, str, int]


def compiled(source: Path, name: str) -> Module:
    """Return the module of a source file, without assertions and docstrings."""
    code = compile(source.read_bytes(), name, "exec", dont_inherit=True, optimize=2)
    nothing = code.co_consts == (None,) and not code.co_names
    return Module(source.name == "__init__.py", b"" if nothing else marshal.dumps(code))


def stand_ins() -> Modules:
    """Return the stand-ins by the names of what they stand for."""
    modules: Modules = {}
    for source in sorted(STAND_INS.rglob("*.py")):
        parts = source.relative_to(STAND_INS).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            modules[name] = compiled(source, name)
    return modules


def read(directory: Path) -> tuple[Modules, Modules]:
    """Return the stand-ins and the ordinary modules of a directory."""
    code = (directory / "modules").read_bytes()
    tables: list[Modules] = []
    for entries in marshal.loads((directory / "index").read_bytes()):
        tables.append({})
        for name, (is_package, place, size) in entries.items():
            if is_package is None:
                tables[-1][name] = Extension(place)
            else:
                tables[-1][name] = Module(is_package, code[place : place + size])
    stand_ins, modules = tables
    return stand_ins, modules


def write(directory: Path, stand_ins: Modules, modules: Modules) -> None:
    """Write both files into a directory."""
    with (directory / "modules").open("wb") as file:
        tables: list[dict[str, Entry]] = []
        for table in (stand_ins, modules):
            entries: dict[str, Entry] = {}
            for name, module in sorted(table.items()):
                if isinstance(module, Extension):
                    entries[name] = (None, module.path, 0)
                else:
                    entries[name] = (module.is_package, file.tell(), file.write(module.code))
            tables.append(entries)
    (directory / "index").write_bytes(marshal.dumps(tuple(tables)))

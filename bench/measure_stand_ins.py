# SPDX-License-Identifier: Apache-2.0
"""What each stand-in of startup/stand_ins/ buys: ADD without it, in a copy of the bundle.

The copy has the modules that the stand-ins stand for, with all they import. It is measured as it
is, and with one stand-in after the other taken away.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contenders import EXECUTABLES, OURS, PYTHON, ROOT, ours
from bench.measure_times import attach_and_detach, each_round
from bench.node import BenchNode
from bench.samples import Samples
from startup import archive

ALL = "none"  # the case in which no stand-in is missing
# What goes with a stand-in: it would not do for the real module in that one's place.
ALSO = {
    "collections": ("_collections_abc", "collections.abc"),
    "collections.abc": ("_collections_abc",),
    "socket": ("_collections_abc", "collections", "collections.abc"),
    "typing": (
        "_collections_abc",
        "collections",
        "collections.abc",
        "contextlib",
        "functools",
        "re",
    ),
}
_LIST = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
specs = {name: getattr(module, "__spec__", None) for name, module in sys.modules.items()}
print(json.dumps({name: spec.origin for name, spec in specs.items() if spec and spec.has_location}))
"""


def cases() -> dict[str, tuple[str, ...]]:
    """Return which stand-ins are taken away, by the name of the case."""
    names = archive.stand_ins()
    taken = {name: (name, *ALSO.get(name, ())) for name in names}
    return {ALL: ()} | {", ".join(together): together for together in taken.values()}


def measure_stand_ins(samples: Samples, rounds: int) -> None:
    """Measure ADD with all stand-ins, and without each."""
    with BenchNode() as node, _variants() as variants:
        (place,) = node.add_card("eth1", vfs=1)
        for counted in each_round(samples, rounds):
            for case, executable in variants.items():
                attachment = ours(place)._replace(executable=executable)
                attach_and_detach(node, case, attachment, counted)


@contextmanager
def _variants() -> Iterator[dict[str, Path]]:
    """Make the copies of the bundle, and return their executables."""
    bundle = EXECUTABLES[OURS].path.parent
    stand_ins, modules = archive.read(bundle / "_internal")
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stand-ins-", dir=ROOT / "build") as directory:
        modules = _real_modules(list(stand_ins)) | modules
        found = {}
        for number, (case, taken) in enumerate(cases().items()):
            copy = Path(directory) / str(number)
            shutil.copytree(bundle, copy, symlinks=True)
            left = {name: module for name, module in stand_ins.items() if name not in taken}
            for name, module in modules.items():
                if isinstance(module, archive.Extension) and Path(module.path).is_absolute():
                    shutil.copy(module.path, copy / "_internal" / f"{name}.so")
            archive.write(copy / "_internal", left, _placed(modules))
            found[case] = copy / "sriov"
        yield found


def _placed(modules: archive.Modules) -> archive.Modules:
    """Return modules with the places of those extensions that are copied into the bundle."""
    copied = {
        name: archive.Extension(f"{name}.so")
        for name, module in modules.items()
        if isinstance(module, archive.Extension) and Path(module.path).is_absolute()
    }
    return modules | copied


def _real_modules(names: list[str]) -> archive.Modules:
    """Return the modules of these names and all that they import, as this Python has them."""
    command = [PYTHON, "-I", "-S", "-c", _LIST, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        name: archive.compiled(Path(origin), name)
        if origin.endswith(".py")
        else archive.Extension(origin)
        for name, origin in json.loads(done.stdout).items()
        if not name.startswith("encodings")
    }

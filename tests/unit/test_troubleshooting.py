# SPDX-License-Identifier: Apache-2.0
"""docs/troubleshooting.md has every error and every line of the log, by its text, and no other.

The texts are read from the source. Where an f-string has a value, the page has a name in angle
brackets: `<PF> has no VF <index>`. Both are compared as "… has no VF …".
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest

from sriov_cni.attachment.failure import as_cni_error
from sriov_cni.cni import errors
from sriov_cni.device import errors as device_errors
from tests.unit.executable import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
TREES = {
    path: ast.parse(path.read_bytes())
    for top in ("sriov_cni", "ipam")
    for path in (REPOSITORY / top).rglob("*.py")
}
CLASSES = [n for tree in TREES.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
# Where errors have their text among their arguments, and so have those that derive from them.
ROOTS = {"CniError": 1, "DeviceError": 0}
OTHER_PLUGINS = "DelegateError"  # its text is the other plugin's
HEADING = r"^### `(.+)`$"


class Call(NamedTuple):
    """A call in the source, with the function that makes it."""

    node: ast.Call
    function: ast.FunctionDef

    @property
    def name(self) -> str:
        return ast.unparse(self.node.func)

    @property
    def code(self) -> int | None:
        """The code of an error; None where neither its class nor the call says it."""
        if kind := getattr(device_errors, self.name, None):
            error = as_cni_error(kind("", ""))
            return error.code if error is not None else None
        name = ast.unparse(self.node.args[0])
        return getattr(errors, name[7:]) if name.startswith("errors.") else None

    def texts(self, place: int) -> Iterator[str]:
        return texts(self.node.args[place], self.function)


FUNCTIONS = {
    path: [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for path, tree in TREES.items()
}
CALLS = [
    Call(node, function)
    for functions in FUNCTIONS.values()
    for function in functions
    for node in ast.walk(function)
    if isinstance(node, ast.Call)
]


def texts(node: ast.expr, function: ast.FunctionDef) -> Iterator[str]:
    """Yield what an expression may say; nothing where it is another error's text, passed on."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield squeezed("".join(part_of_text(part, function) for part in parts))
        case ast.IfExp(body=first, orelse=second):
            yield from texts(first, function)
            yield from texts(second, function)
        case ast.Name(id=name) if values := assigned(name, function):
            for value in values:
                yield from texts(value, function)
        case ast.Constant(value=None) | ast.Attribute() | ast.Call(func=ast.Name(id="str")):
            pass
        case ast.Call(func=called):
            name = ast.unparse(called).rpartition(".")[2]
            (found,) = (f for functions in FUNCTIONS.values() for f in functions if f.name == name)
            yield from returned(found)
        case _:
            pytest.fail(f"line {node.lineno}: what does {ast.unparse(node)} say?")


def returned(function: ast.FunctionDef) -> Iterator[str]:
    """Yield the texts that a function returns."""
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield from texts(node.value, function)


def part_of_text(part: ast.expr, function: ast.FunctionDef) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    values = assigned(ast.unparse(part.value), function)
    if len(values) == 1 and isinstance(values[0], ast.JoinedStr):
        return "".join(part_of_text(inner, function) for inner in values[0].values)
    return "…"


def assigned(name: str, function: ast.FunctionDef) -> list[ast.expr]:
    """Return what a function assigns to a name; a parameter, or a part of a tuple, is nothing."""
    found = []
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                found.append(value)
            case ast.NamedExpr(target=ast.Name(id=target), value=value) if target == name:
                found.append(value)
    return found


def squeezed(text: str) -> str:
    return re.sub("…+", "…", text)


def on_the_page(text: str) -> str:
    return squeezed(re.sub(r"<[^<>]+>", "…", text))


def place_of_text(error: str) -> int | None:
    """Return where an error of a class has its text; None if the class is none of ours."""
    bases = {n.name: ast.unparse(n.bases[0]).rpartition(".")[2] for n in CLASSES if n.bases}
    while error in bases and error not in ROOTS:
        error = bases[error]
    return ROOTS.get(error)


@cache
def raised() -> set[tuple[int | None, str]]:
    """Return code and text of every error that the source makes."""
    found = set()
    with_constructors = {
        node.name
        for node in CLASSES
        if node.name not in ROOTS
        and any(ast.unparse(p).startswith("def __init__") for p in node.body)
    }
    for call in CALLS:
        if call.name == "super().__init__" and call.node.args and call.code is not None:
            place: int | None = ROOTS["CniError"]
        elif call.name in (*with_constructors, OTHER_PLUGINS):
            place = None
        else:
            place = place_of_text(call.name)
        if place is not None:
            found |= {(call.code, text) for text in call.texts(place)}
    return found


def section(title: str) -> str:
    """Return what stands below a heading, up to the next one of its level or above."""
    level = title.index(" ")
    found = re.search(rf"^{re.escape(title)}\n(.*?)(?=^#{{1,{level}}} |\Z)", PAGE, re.M | re.S)
    assert found is not None, title
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the rows of a section's table, without its head."""
    lines = re.findall(r"^\| (.+) \|$", text, re.M)
    return [re.split(r" \| ", line) for line in lines if not line.startswith("---")][1:]


def first_cells(title: str) -> set[str]:
    return {on_the_page(row[0].strip("`")) for row in rows(section(title))}


ENTRIES = re.findall(HEADING, PAGE, re.M)


def test_every_error_has_an_entry_and_every_entry_an_error() -> None:
    found = {text for _, text in raised()}
    entries = {on_the_page(entry) for entry in ENTRIES}
    assert found - entries == set()
    assert entries - found == set()
    assert len(entries) == len(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_has_codes_a_meaning_and_a_cure_for_each_cause(entry: str) -> None:
    text = section(f"### `{entry}`")
    head = re.match(r"\nCodes? ([\d, ]+)\. \S.+?[.:]\n\n\|", text, re.S)
    assert head is not None
    listed = {int(code) for code in head[1].split(",")}
    assert {code for code, said in raised() if said == on_the_page(entry) and code} <= listed
    assert rows(text)
    assert all(len(row) == 2 and all(row) for row in rows(text))


def test_every_reason_why_a_device_is_not_free_is_listed() -> None:
    reasons = {t for call in CALLS if call.name == "_Obstacle" for t in call.texts(1)}
    assert first_cells("### `<VF or PF> is not free`") == reasons


def test_every_line_of_the_log_is_listed() -> None:
    lines = {t for call in CALLS if call.name == "log.write" for t in call.texts(1)}
    for function in FUNCTIONS[REPOSITORY / "sriov_cni" / "device" / "restoration.py"]:
        if ast.unparse(function.returns or function) == "str | None":  # a remark
            lines |= set(returned(function))
    assert first_cells("## Lines in the log") == lines


def test_every_refusal_of_the_installer_is_listed() -> None:
    script = (REPOSITORY / "tools" / "install").read_text()
    refusals = {
        squeezed(re.sub(r"\$\w+", "…", text.replace("\n", " ")))
        for text in re.findall(r'\bdie "([^"]+)"', script)
    }
    assert first_cells("## When `sriov-cni.run` or `sriov-node.run` refuses") == refusals

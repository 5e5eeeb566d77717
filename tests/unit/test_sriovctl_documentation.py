# SPDX-License-Identifier: Apache-2.0
"""docs/troubleshooting.md has what `sriovctl` and the preparation of nodes may say, and no more.

The texts are read from the source. Where an f-string has a value, the page has a name in angle
brackets. Both are compared as "… has no eswitch modes: its driver … knows none".
"""

import ast
import re
from collections.abc import Iterator

from tests.unit.executable import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
HEADING = "## What `sriovctl` says"
# What makes an error or a warning of a text, and which of its arguments that is.
SAYING = {
    **dict.fromkeys(("exits.Failed", "exits.Refused", "AbsentError"), 0),
    **dict.fromkeys(("click.BadParameter", "click.UsageError"), 0),
    **dict.fromkeys(("BusyError", "LeftError", "ModuleError"), 0),
    **dict.fromkeys(("faults.append", "self.problems.append"), 0),  # and what findings.warn is told
    "KernelError": 1,
    "Refusal": 3,
    "_write": 2,
}
NAMED = ("doing", "said", "still", "unknown", "BUSY", "_PREPARED")  # variables that have a text
YIELDING = ("_faults", "_external_faults")
PREPARATION = "sriov_node/preparation"
SOURCES = (
    *(
        f"{PREPARATION}/{name}.py"
        for name in ("plan", "drivers", "matching", "apply", "pf", "effects")
    ),
    *(f"{PREPARATION}/{name}.py" for name in ("apart", "locks", "marker", "witnesses")),
    *(f"sriov_cni/kernel/{name}.py" for name in ("modules", "functions", "devlink")),
)
ELSEWHERE = {
    "asking for the eswitch mode of …",  # what cannot be asked for counts as unknown
    "looking for devlink",
    "process …",  # HiddenError's: the witness says what follows from it
}
# What is passed on, and where it comes from.
OTHERS = {
    "… is …, it must be …": "sriov_node/fields.py",
    "belongs to … until its DEL": "sriov_node/inventory/ownership.py",
    "was given to a pod by another SR-IOV plugin": "sriov_node/inventory/ownership.py",
}


def squeezed(text: str) -> str:
    return re.sub("…+", "…", text)


def text_of(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return squeezed("".join(text_of(part) for part in parts))
        case ast.List(elts=[only]) | ast.ListComp(elt=only):
            return text_of(only)
        case _:
            return "…"


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield what a part of the source says; "…" where the whole text is another's."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=called, args=args) if args:
                name = ast.unparse(called)
                place = SAYING.get(name, 0 if name.endswith("findings.warn") else None)
                if place is not None and place < len(args):
                    yield text_of(args[place])
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in NAMED:
                yield text_of(value)
            case ast.Dict(values=[(ast.List() as value)]) | ast.DictComp(value=value):
                yield text_of(value)
            case ast.FunctionDef(name=name) if name in YIELDING:
                yield from (
                    text_of(inner.value)
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Yield) and inner.value is not None
                )


def said() -> set[str]:
    """Return all texts, with those of a PF's entry as they are printed."""
    paths = [*(REPOSITORY / "sriovctl").rglob("*.py"), *(REPOSITORY / s for s in SOURCES)]
    found = {text for path in paths for text in texts(ast.parse(path.read_bytes()))}
    plan = ast.parse((REPOSITORY / PREPARATION / "plan.py").read_bytes())
    of_entries = {
        text
        for node in ast.walk(plan)
        if isinstance(node, ast.FunctionDef) and node.name in YIELDING
        for text in texts(node)
    }
    found = (found - of_entries) | {squeezed(f"…: … {text}") for text in of_entries}
    return {text for text in found if text not in ("", "…")} - ELSEWHERE


def listed() -> list[str]:
    section = PAGE.partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    codes = [code for cell in cells for code in re.findall("`([^`]+)`", cell)]
    return [squeezed(re.sub(r"<[^<>]+>", "…", code)) for code in codes]


def test_everything_that_is_said_is_listed_and_nothing_else() -> None:
    rows = listed()
    assert len(rows) == len(set(rows))
    assert said() - set(rows) == set()
    assert set(rows) - said() == set(OTHERS)


def test_what_others_say_is_in_their_source() -> None:
    for text, path in OTHERS.items():
        tree = ast.parse((REPOSITORY / path).read_bytes())
        there = {text_of(n) for n in ast.walk(tree) if isinstance(n, ast.Constant | ast.JoinedStr)}
        assert any(text.endswith(part) for part in there if len(part) > len("…: …")), text

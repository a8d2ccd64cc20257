"""The imports go one way, and nothing happens at import."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import ccigkit
from tests.helpers import environment

HOUSE = Path(ccigkit.__file__).parent
BROUGHT = ("structure", "scm", "networks", "objectives", "data", "metrics")
FLOORS = (  # from the ground up: a module imports from lower floors only, or from its own where `WITHIN` says so
    ("errors",),
    ("files", "graph"),
    ("attributes", "layout"),
    ("interfaces", "images"),
    ("model",),
    ("training",),
    ("plugins",),
    ("components",),
    BROUGHT,
    ("builtin", "testing"),
    ("config",),
    ("run",),
    ("report", "sheet", "evaluation"),
    ("experiment",),
    ("cli",),
    ("__main__",),
)
FLOOR = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
# Deferred, inside a function: `load_model` finds components by name, and the checker builds models to check with.
UPWARDS = {("model", "components")}
# What the core reads of what it brings along, past the registry.
EXCEPTIONS = {("builtin", part) for part in BROUGHT} | {
    ("experiment", part) for part in ("data", "structure", "metrics")
}
EXCEPTIONS |= {("evaluation", part) for part in ("metrics", "structure", "objectives")}
# Between the parts that come along: metrics train a network of their own, with the objectives' supervision.
NEIGHBOURS = {("metrics", "networks"), ("metrics", "objectives"), ("metrics", "structure")}

MODULES = sorted(HOUSE.rglob("*.py"))


def part_of(path: Path) -> str:
    """The part of the house a file is: "graph", or "structure" for structure/pc.py."""
    return path.relative_to(HOUSE).with_suffix("").parts[0]


@cache
def imports_of(path: Path) -> frozenset[str]:
    """What a file imports of ccigkit when it runs, wherever it stands: "graph", "structure.common"."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module == "ccigkit":
                found |= {alias.name for alias in node.names}
            elif node.module and node.module.startswith("ccigkit."):
                found.add(node.module.removeprefix("ccigkit."))
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("ccigkit.") for a in node.names if a.name.startswith("ccigkit.")}
    return frozenset(found)


def edges() -> set[tuple[str, str]]:
    """Every (importing part, imported part) of the house."""
    found = {(part_of(path), name.split(".")[0]) for path in MODULES for name in imports_of(path)}
    return {(a, b) for a, b in found if a not in (b, "__init__")}


def test_every_module_has_its_floor() -> None:
    assert {part_of(path) for path in MODULES} - {"__init__"} == set(FLOOR)


def test_imports_go_one_way() -> None:
    upwards = {(a, b) for a, b in edges() if FLOOR[b] > FLOOR[a]}
    assert upwards == UPWARDS
    level = {(a, b) for a, b in edges() if FLOOR[b] == FLOOR[a]}
    assert level - {(a, b) for a in BROUGHT for b in BROUGHT} == set()


def test_the_promised_order_of_the_core() -> None:
    order = ["errors", "graph", "interfaces", "model", "training", "components", "config", "run", "experiment", "cli"]
    assert all(FLOOR[lower] < FLOOR[upper] for lower, upper in pairwise(order))


def test_the_core_meets_what_comes_along_through_the_registry_alone() -> None:
    past = {(a, b) for a, b in edges() if b in BROUGHT and a not in BROUGHT}
    assert past == EXCEPTIONS
    named = {name for path in MODULES if part_of(path) == "experiment" for name in imports_of(path)}
    tools = {f"structure.{tool}" for tool in ("bootstrap", "common", "compare", "sortability")}  # but no learner
    tools |= {"data.columns", "metrics.predictor"}  # but no data set and no metric
    assert {name for name in named if name.split(".")[0] in BROUGHT} == tools


def test_the_kinds_that_come_along_do_not_lean_on_one_another() -> None:
    assert {(a, b) for a, b in edges() if a in BROUGHT and b in BROUGHT} == NEIGHBOURS


def test_what_comes_along_uses_nothing_a_plugin_may_not() -> None:
    public = {name for parts in FLOORS[: FLOOR["structure"]] for name in parts}
    used = {b for a, b in edges() if a in BROUGHT and b not in BROUGHT}
    assert used <= public - {"plugins", "components"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_no_module_keeps_state(path: Path) -> None:
    """At the top of a module stand definitions and constants, and nothing is rebound later."""
    tree = ast.parse(path.read_text())
    assert not [node.names for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for node in tree.body:
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            called = ast.unparse(node)
            assert part_of(path) in ("cli", "__main__"), f"{called} runs at import"
            assert called in ("app.add_typer(data_app, name='data')", "main()"), f"{called} runs at import"
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            empty = ast.unparse(node.value) in ("[]", "{}", "set()", "dict()", "list()")
            assert not empty, f"{ast.unparse(node)} waits to be filled"


def test_help_and_the_package_import_no_torch() -> None:
    script = """
import sys
import ccigkit
from ccigkit.cli.app import main
for words in (["--help"], ["train", "--help"], ["data", "--help"]):
    sys.argv = ["ccigkit", *words]
    try:
        main()
    except SystemExit as leave:
        assert not leave.code
heavy = {"torch", "numpy", "scipy", "matplotlib", "PIL", "causallearn"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout

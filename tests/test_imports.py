"""The imports go one way, and nothing happens at import."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

import ccigkit
from tests.helpers import environment

HOUSE = Path(ccigkit.__file__).parent
CORE = ("causal", "component", "model", "training")
DATA = ("data", "data.drawn", "data.files")
BROUGHT = ("causal.scm", "structure.learners", "image", "objectives", *DATA, "metrics", "trackers")
TOOLS = ("structure.scores", "structure.continuous", "structure.assess", "metrics.protocol", "metrics.readers")
FLOORS = (  # from the ground up: a room imports from lower floors only, or from its own where `test_...` says so
    ("errors", "names"),
    ("files", "hub"),
    ("descend", "component", "pixels"),
    ("causal",),
    ("structure", "image.base", "data.base"),
    ("model",),
    ("objectives.base",),
    ("training",),
    ("metrics.base",),
    ("structure.scores",),
    ("structure.continuous", "structure.assess"),
    BROUGHT,
    ("metrics.protocol", "metrics.readers"),
    ("builtin", "testing"),
    ("show",),
    ("evaluation",),
    ("commands",),
    ("attributes", "graph", "images", "interfaces", "plugins"),  # public names of what lies below
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
PUBLIC = FLOORS[-2]
# Kinds that come along lean on one another here alone: metrics and data are each one wing of several rooms, and
# metrics train networks of their own with the objectives' supervision.
NEIGHBOURS = {("data", "data.files"), ("metrics", "image"), ("metrics", "objectives"), ("objectives", "image")}
MODULES = sorted(HOUSE.rglob("*.py"))


def module_of(path: Path) -> str:
    """The module of a file: "structure.learners.pc", or "structure" for structure/__init__.py."""
    return ".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The room a module is in: its folder, or itself at the top; a `base` that declares a kind is a room of its own."""
    if module in ("causal.scm.base", "structure.base"):
        return module.split(".")[0]
    if module in FLOOR:
        return module
    return module.rpartition(".")[0] or module


NAMES = {module_of(path) for path in MODULES}


@cache
def imports_of(path: Path) -> frozenset[str]:
    """What a file imports of ccigkit, wherever it stands, for type checking alone too: "causal.graph"."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module == "ccigkit":
                found |= {alias.name for alias in node.names}
            elif node.module and node.module.startswith("ccigkit."):
                module = node.module.removeprefix("ccigkit.")
                inner = {f"{module}.{alias.name}" for alias in node.names}
                found |= {name if name in NAMES else module for name in inner}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("ccigkit.") for a in node.names if a.name.startswith("ccigkit.")}
    return frozenset(found)


def edges() -> set[tuple[str, str]]:
    """Every (importing room, imported room) of the house; the package itself is no room."""
    pairs = {(module_of(path), name) for path in MODULES for name in imports_of(path)}
    return {(room_of(a), room_of(b)) for a, b in pairs if a != "__init__" and room_of(a) != room_of(b)}


def test_every_module_has_its_floor() -> None:
    assert {room_of(module_of(path)) for path in MODULES} - {"__init__"} == set(FLOOR)


def test_no_module_imports_itself_by_a_way_around() -> None:
    """Imports for type checking counted: a circle that only the type checker walks is one all the same."""
    sorter = TopologicalSorter({module_of(path): imports_of(path) - {module_of(path)} for path in MODULES})
    sorter.prepare()  # raises CycleError, naming the circle


def test_imports_go_one_way() -> None:
    upwards = {(a, b) for a, b in edges() if FLOOR[b] > FLOOR[a]}
    assert upwards - {("metrics", b) for b in ("metrics.protocol", "metrics.readers")} == set()
    level = {(a, b) for a, b in edges() if FLOOR[b] == FLOOR[a]}
    assert level - NEIGHBOURS == {("metrics.protocol", "metrics.readers")}


def test_the_promised_order_of_the_core() -> None:
    order = ["errors", "causal", "model", "training", "builtin", "commands", "__main__"]
    assert all(FLOOR[lower] < FLOOR[upper] for lower, upper in pairwise(order))


def test_the_causal_model_knows_nothing_of_images() -> None:
    used = {b for a, b in edges() if a in ("causal", "causal.scm")}
    assert used <= {"errors", "names", "descend", "component", "causal"}


def test_the_core_meets_what_comes_along_through_the_registry_alone() -> None:
    past = {(a, b) for a, b in edges() if b in BROUGHT and a not in (*BROUGHT, *TOOLS, "builtin", *PUBLIC)}
    assert {a for a, _ in past} <= {"commands", "evaluation"}
    named = {name for path in MODULES if room_of(module_of(path)) in CORE for name in imports_of(path)}
    assert not {name for name in named if room_of(name) in (*BROUGHT, *TOOLS)}


def test_what_comes_along_uses_nothing_a_plugin_may_not() -> None:
    """The registry is for those who choose components, not for components."""
    assert not {
        (module_of(path), name)
        for path in MODULES
        if room_of(module_of(path)) in (*BROUGHT, *TOOLS)
        for name in imports_of(path)
        if name in ("component.registry", "component.plugins") or room_of(name) in ("show", "evaluation", "commands")
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_no_module_keeps_state(path: Path) -> None:
    """At the top of a module stand definitions and constants, and nothing is rebound later."""
    tree = ast.parse(path.read_text())
    assert not [node.names for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for node in tree.body:
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            called = ast.unparse(node)
            assert room_of(module_of(path)) in ("commands", "__main__"), f"{called} runs at import"
            assert called in ("app.add_typer(data_app, name='data')", "main()"), f"{called} runs at import"
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            empty = ast.unparse(node.value) in ("[]", "{}", "set()", "dict()", "list()")
            assert not empty, f"{ast.unparse(node)} waits to be filled"


def test_help_and_the_package_import_no_torch() -> None:
    script = """
import sys
import ccigkit
from ccigkit.commands.app import main
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

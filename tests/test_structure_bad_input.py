"""What no graph can be learned from: one clear line, whichever learner is asked; and what looks bad and is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ccigkit.attributes import Attribute, Table
from ccigkit.component.options import Role, options_of
from ccigkit.component.registry import Choice, registry
from ccigkit.errors import ConfigError, DataError
from ccigkit.graph import Knowledge
from ccigkit.interfaces import StructureLearner
from tests.helpers import ccigkit

LEARNERS = {learner.name: learner for learner in registry() if issubclass(learner, StructureLearner)}
SEARCHES = ("auto", "boss", "pc", "fci", "ges", "grasp")  # which tell causes apart by regression
OTHERS = ("notears", "dagma", "golem", "gae")
ROWS = np.random.default_rng(0).normal(size=(60, 4))


def write(path: Path, rows: np.ndarray) -> Path:
    lines = [",".join("" if np.isnan(cell) else f"{cell:.17g}" for cell in row) for row in rows]
    path.write_text("\n".join(["a,b,c,d", *lines]))
    return path


def changed(column: int, values: object) -> np.ndarray:
    rows = ROWS.copy()
    rows[:, column] = values
    return rows


BAD = {
    "as many rows as attributes": (ROWS[:4], "a graph over 4 attributes needs more rows than attributes, got 4; bring"),
    "a constant column": (changed(1, 3.0), "attribute b is constant (3 in all 60 rows); leave it out"),
    "a category with one level": (changed(2, 0.0), "attribute c is constant (0 in all 60 rows); leave it out"),
    "a missing value": (
        np.where(np.arange(240).reshape(60, 4) == 5, np.nan, ROWS), "b is empty or infinite in 1 rows; fill or drop"),
    "an infinite value": (
        np.where(np.arange(240).reshape(60, 4) == 5, np.inf, ROWS), "b is empty or infinite in 1 rows; fill or drop"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*SEARCHES, *OTHERS])
@pytest.mark.parametrize(("rows", "line"), BAD.values(), ids=BAD)
def test_a_bad_table_is_refused_in_one_line(name: str, rows: np.ndarray, line: str, tmp_path: Path) -> None:
    assert line in ccigkit("graph", write(tmp_path / "table.csv", rows), "--structure", name).refusal()


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (changed(3, 1 - 2 * ROWS[:, 0]), {"a", "d"}),
        (changed(3, ROWS[:, 0] + ROWS[:, 1]), {"a", "b", "d"}),
    ],
    ids=["a copy", "a sum"],
)
def test_columns_that_follow_from_others_are_named(
    name: str, rows: np.ndarray, columns: set[str], tmp_path: Path
) -> None:
    line = ccigkit("graph", write(tmp_path / "table.csv", rows), "--structure", name).refusal()
    said, remedy = line.split(" are collinear: ")
    assert set(said.removeprefix("columns ").split(" and ")) == columns
    assert remedy.endswith("leave one out")


@pytest.mark.parametrize("name", OTHERS)
def test_learners_by_descent_share_the_weight_of_a_copy(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "table.csv", changed(3, 1 - 2 * ROWS[:, 0]))
    assert ccigkit("graph", path, "--structure", name).code == 0


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "option", "value", "line"),
    [
        ("notears", "rows", 0, "structure.rows=0 must be at least 1"),
        ("notears", "hidden", 0, "structure.hidden=0 must be at least 1"),
        ("dagma", "l1", -0.1, "structure.l1=-0.1 must be at least 0"),
        ("golem", "cycles", -1, "structure.cycles=-1 must be at least 0"),
        ("gae", "rate", 0, "structure.rate=0 must be above 0"),
        ("boss", "penalty", 0, "structure.penalty=0 must be above 0"),
        ("boss", "restarts", -1, "structure.restarts=-1 must be at least 0"),
        ("boss", "seed", -1, "structure.seed=-1 must be at least 0"),
        ("pc", "alpha", 5, "structure.alpha=5 must be above 0 and below 1"),
        ("fci", "depth", -1, "structure.depth=-1 must be at least 0"),
        ("ges", "penalty", 0, "structure.penalty=0 must be above 0"),
        ("ges", "most", 0, "structure.most=0 must be at least 1"),
        ("grasp", "penalty", 0, "structure.penalty=0 must be above 0"),
        ("grasp", "depth", 0, "structure.depth=0 must be at least 1"),
    ],
)
def test_an_option_without_a_meaning_is_refused_with_its_range(name: str, option: str, value: float, line: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(line)}$"):
        Choice.of("structure", {"name": name, option: value})


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_a_seed_tells_no_two_runs_apart(learner: type[StructureLearner]) -> None:
    seed = options_of(learner).get("seed")
    assert seed is None or seed.role is Role.SEED


# --- labels -----------------------------------------------------------------------------------------------------------


def categories(*columns: np.ndarray, named: tuple[str, ...] = ()) -> Table:
    attributes = [Attribute(f"x{j}", "categorical", categories=named) for j in range(len(columns))]
    return Table.fit(attributes, np.stack(columns, axis=1))


@pytest.mark.parametrize("make", [LEARNERS[name] for name in (*SEARCHES, *OTHERS)])
def test_a_category_that_no_row_has_changes_nothing(make: Callable[[tuple[str, ...]], StructureLearner]) -> None:
    random = np.random.default_rng(0)
    first = random.choice([0, 2], 300)
    second = np.where(random.random(300) < 0.3, random.integers(0, 3, 300), first)
    table = categories(first, second, random.integers(0, 3, 300), named=("red", "green", "blue"))
    assert len(make(table.names).learn(table, Knowledge()).edges) <= 3


@pytest.mark.parametrize("name", ["auto", "boss"])
def test_categories_under_other_names_are_a_graph_still(name: str) -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 3, 300)
    table = categories(first, np.array([1, 0, 2])[first], random.integers(0, 3, 300))
    graph = LEARNERS[name](table.names).learn(table, Knowledge())
    assert [{*edge} for edge in graph.edges] == [{"x0", "x1"}]


def test_a_category_with_one_level_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"attribute x1 is constant \(2 in all 30 rows\)"):
        categories(np.arange(30) % 3, np.full(30, 2))

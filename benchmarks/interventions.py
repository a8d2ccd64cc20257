"""What it brings to tell a learner which attributes were set in which rows: drawn tables for docs/structure.md.

    uv pip install -e '.[bench]'
    python benchmarks/interventions.py

Random graphs with two edges per attribute. Half of the rows are as the model has them, in the others one attribute is
set, each in as many rows. Numbers have unit variance while they are drawn. What is set is drawn, from a standard normal
or from 0 and 1.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from structure.base import Edges, Matrix
from structure.drawn import erdos_renyi, truth_depth, weights
from structure.one import shd

from ccigkit.causal.attributes import Attribute, Kind, Table
from ccigkit.causal.graph import Knowledge
from ccigkit.structure.learners.auto import Auto

Model = Literal["linear", "logistic"]
TABLES: tuple[tuple[Model, int, int], ...] = (
    ("linear", 10, 1000),
    ("linear", 20, 1000),
    ("logistic", 10, 5000),
    ("logistic", 20, 5000),
)
SEEDS = 5


def main() -> None:
    """Print a row for each table: the median SHD of each way to learn it, and those of the seeds."""
    print("| table | " + " | ".join(WAYS) + " |\n|---|" + "---|" * len(WAYS))
    for model, d, n in TABLES:
        found: dict[str, list[int]] = {way: [] for way in WAYS}
        for seed in range(SEEDS):
            natural, partly, truth = tables(model, d, n, np.random.default_rng([seed, d, n, 77]))
            for way, learn in WAYS.items():
                found[way].append(shd(learn(natural, partly), truth))
        cells = [f"{statistics.median(each):g} ({', '.join(map(str, each))})" for each in found.values()]
        print(f"| {model}, {d} attributes, {n:,} rows | " + " | ".join(cells) + " |", flush=True)


def tables(model: Model, d: int, n: int, rng: np.random.Generator) -> tuple[Table, Table, Edges]:
    """A table in which nothing was set, one of as many rows in which something was in half of them, and the graph."""
    truth, strengths = erdos_renyi(d, 2 * d, rng), weights((d, d), rng)
    held, each = np.zeros((n, d), dtype=bool), n // 2 // d
    for j in range(d):
        held[n // 2 + j * each : n // 2 + (j + 1) * each, j] = True
    kind: Kind = "continuous" if model == "linear" else "binary"
    attributes = [Attribute(f"x{j}", kind) for j in range(d)]
    natural = Table.fit(attributes, draw(model, truth, strengths, np.zeros_like(held), rng))
    return natural, Table.fit(attributes, draw(model, truth, strengths, held, rng), intervened=held), truth


def draw(model: Model, truth: Edges, strengths: Matrix, held: Edges, rng: np.random.Generator) -> Matrix:
    """Rows [n, d] of a model in which attributes `held` [n, d] are set."""
    rows = np.zeros(held.shape)
    for j in np.argsort(truth_depth(truth), kind="stable"):
        score = rows @ (strengths[:, j] * truth[:, j])
        if model == "linear":
            own = score + rng.normal(size=len(rows))
            own, given = own / own[~held[:, j]].std(), rng.normal(size=len(rows))
        else:
            own = (rng.random(len(rows)) < 1 / (1 + np.exp(score.mean() - score))).astype(np.float64)
            given = (rng.random(len(rows)) < 0.5).astype(np.float64)
        rows[:, j] = np.where(held[:, j], given, own)
    return rows


def by_auto(table: Table) -> Edges:
    """The graph [d, d] that ours finds."""
    return np.asarray(Auto(table.names).learn(table, Knowledge()).adjacency)


def by_gies(table: Table) -> Edges:
    """The class [d, d] that GIES finds, to which labels are numbers."""
    import gies

    assert table.intervened is not None
    sets, of = np.unique(table.intervened, axis=0, return_inverse=True)
    rows = [table.values[of == each] for each in range(len(sets))]
    found: Any = gies.fit_bic(rows, [np.flatnonzero(each).tolist() for each in sets])[0]
    return np.asarray(found != 0)


WAYS: dict[str, Callable[[Table, Table], Edges]] = {
    "`auto`, told what was set": lambda natural, partly: by_auto(partly),
    "not told": lambda natural, partly: by_auto(replace(partly, intervened=None)),
    "as many rows in which nothing was set": lambda natural, partly: by_auto(natural),
    "GIES, told": lambda natural, partly: by_gies(partly),
}


if __name__ == "__main__":
    main()

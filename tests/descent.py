"""What the tests of learners by continuous optimisation share: tables of known graphs, and the laws of their kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import approx_fprime

from ccigkit.attributes import Attribute, Kind, Table
from ccigkit.graph import CausalGraph, Knowledge, topological_order
from ccigkit.interfaces import StructureLearner
from ccigkit.structure.continuous.owlqn import Smooth

Make = Callable[[tuple[str, ...]], StructureLearner]


def random_table(kind: Kind, size: int, n: int, seed: int, *, raw: bool = False) -> Table:
    """Rows of a random graph with two edges per attribute: linear Gaussian, or 0 and 1 by logistic equations."""
    random = np.random.default_rng(seed)
    edges = np.triu(random.random((size, size)) < 4 / (size - 1), 1)
    at = random.permutation(size)
    weights = (edges * random.uniform(0.5, 2, edges.shape) * random.choice([-1, 1], edges.shape))[np.ix_(at, at)]
    values = np.zeros((n, size))
    for j in topological_order(weights != 0):
        mean = values @ weights[:, j]
        values[:, j] = random.random(n) < 1 / (1 + np.exp(-mean)) if kind == "binary" else mean + random.normal(size=n)
    if kind == "continuous" and not raw:
        values /= values.std(axis=0)
    names = tuple(f"x{j}" for j in range(size))
    return Table.fit([Attribute(name, kind) for name in names], values, CausalGraph(names, weights))


def assert_rows_and_columns_may_come_in_any_order(make: Make, table: Table) -> None:
    """The same edges for shuffled rows and columns."""
    graph = make(table.names).learn(table, Knowledge())
    random = np.random.default_rng(1)
    rows = Table.fit(table.attributes, random.permutation(table.values))
    assert make(table.names).learn(rows, Knowledge()).edges == graph.edges
    names = tuple(random.permutation(table.names))
    columns = make(names).learn(table.reordered(names), Knowledge())
    assert set(columns.edges) == set(graph.edges)


def assert_gradient(smooth: Smooth, at: np.ndarray) -> None:
    """The gradient is that of finite differences."""
    expected = approx_fprime(at, lambda x: smooth(x)[0], 1e-7)
    np.testing.assert_allclose(smooth(at)[1], expected, rtol=1e-4, atol=1e-5)

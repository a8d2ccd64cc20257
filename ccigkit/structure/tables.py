"""What structure learners share about tables: order, ties, projections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.graph import CausalGraph, Matrix, acyclic
from ccigkit.causal.strengths import FAINT, Support, chunks, fit_strengths, latents
from ccigkit.errors import DataError


def refuse_collinear(moments: Matrix, names: tuple[str, ...]) -> None:
    """Check that no attribute follows from the others.

    Args:
        moments: the covariance [d, d], of unit variances.
        names: the attributes' names, to say which.

    Raises:
        DataError: where some attributes follow from each other, naming them.
    """
    least, directions = np.linalg.eigh(moments)
    if len(names) and least[0] < 1e-9:
        involved = [name for name, part in zip(names, np.abs(directions[:, 0]), strict=True) if part > 1e-4]
        raise DataError(
            f"columns {' and '.join(involved)} are collinear: each follows from the rest, so no test can tell their "
            "causes apart; leave one out"
        )


def by_skewness(table: Table) -> Table:
    """The same table, its columns in an order that neither their order nor their names decide: by skewness.

    A learner that works in this order breaks its ties, and draws its first weights, alike for every arrangement of the
    same data. Names decide only between columns of one skewness.

    >>> from ccigkit import Attribute, Table
    >>> table = Table.fit([Attribute("flat", "continuous"), Attribute("left", "continuous")], [[0, 0], [1, 9], [2, 9]])
    >>> by_skewness(table).names
    ('left', 'flat')
    """
    n, size = table.values.shape
    parts = (latents(table, part) for part in chunks(n, size))
    skewness = np.round(sum(np.einsum("nd,nd,nd->d", part, part, part) for part in parts) / n, 9)
    return table.reordered([name for _, name in sorted(zip(skewness, table.names, strict=True))])


def hard_labels(table: Table) -> tuple[str, ...]:
    """The names of the attributes that have labels and no values between them.

    >>> from ccigkit import Attribute, Table
    >>> table = Table.fit([Attribute("smiling", "binary"), Attribute("bald", "binary")], [[0, 0.1], [1, 0.8], [1, 0.5]])
    >>> hard_labels(table)
    ('smiling',)
    """
    return tuple(
        attribute.name
        for attribute, column in zip(table.attributes, table.values.T, strict=True)
        if attribute.kind != "continuous" and (column == np.round(column)).all()
    )


def rounded(values: Values) -> Values:
    """Numbers to eleven digits of the largest: beyond, sums over the same rows in another order differ.

    So a search that starts from them does not depend on the order of the rows.

    >>> float(rounded(np.array([0.1 + 0.2]))[0]) == float(rounded(np.array([0.3]))[0])
    True
    """
    scale = 2.0 ** np.ceil(np.log2(max(np.abs(values).max(initial=0.0), FAINT)))
    result: Values = values / scale
    np.round(result, 11, out=result)
    result *= scale  # in place, as a matrix of all pairs of curves is large
    return result


def evenly(rows: Values, most: int) -> Values:
    """At most so many rows [m, d] of [n, d], evenly spread over the sorted ones, whatever order they came in.

    >>> evenly(np.array([[4.0], [1.0], [3.0], [2.0]]), most=2).ravel().tolist()
    [2.0, 4.0]
    """
    ranked = np.lexsort(rows.T[::-1])
    count = min(most, len(rows))
    return np.asarray(rows[ranked[((np.arange(count) + 0.5) * len(rows) / count).astype(int)]])


def with_strengths(graph: CausalGraph, table: Table) -> CausalGraph:
    """The graph in the order of the table, with the table's strengths on its edges."""
    graph = graph.reordered(table.names)
    return replace(graph, strengths=fit_strengths(table, graph.adjacency))


def listed(edges: Support, names: tuple[str, ...], arrow: str = "->") -> str:
    """Edges [d, d] for a note.

    >>> listed(np.array([[False, True], [False, False]]), ("a", "b"))
    'a -> b'
    """
    return ", ".join(f"{names[i]} {arrow} {names[j]}" for i, j in np.argwhere(edges))


def project(weights: Matrix, required: Support, names: tuple[str, ...]) -> CausalGraph:
    """The DAG in a weighted graph, with a note on the edges that were cut to make it one.

    >>> project(np.array([[0, 0.9], [0.2, 0]]), np.zeros((2, 2), dtype=bool), ("a", "b")).notes
    ('cut because they close a cycle of stronger edges: b -> a',)

    Args:
        weights: of the edges [d, d], row to column; of each cycle the weakest edge is cut.
        required: the edges [d, d] that stay whatever their weight.
        names: the attributes' names.
    """
    kept = acyclic(weights, required)
    cut = (weights != 0) & ~kept
    notes = (f"cut because they close a cycle of stronger edges: {listed(cut, names)}",) if cut.any() else ()
    return CausalGraph(names, np.where(kept & (weights == 0), FAINT, weights * kept), notes)

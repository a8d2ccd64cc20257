"""Strengths of edges: covariances of a table, and regressions on causes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.graph import Matrix
from ccigkit.causal.regimes import left_alone
from ccigkit.errors import DataError

Support = npt.NDArray[np.bool_]
CELLS = 1 << 20  # numbers made of rows that are in memory at once
FAINT = 1e-9  # the strength of an edge that must be there though the data give it none


def covariance(table: Table) -> Matrix:
    """[d, d], of the latents: all that a linear learner ever looks at, whatever the number of rows.

    Raises:
        DataError: where there are too few rows to separate the attributes.
    """
    rows, size = table.values.shape
    if rows <= size:
        raise DataError(
            f"a graph over {size} attributes needs more rows than attributes, got {rows}; "
            "bring more rows or leave attributes out"
        )
    moments = moments_of(lambda part: latents(table, part), rows, size)
    return np.asarray(moments * (rows / (rows - 1)))


def latents(table: Table, part: slice) -> Values:
    """[m, d], of some rows, where all at once would take too much memory."""
    return np.asarray(table.attributes.to_latent(torch.as_tensor(table.values[part])))


def chunks(n: int, width: int) -> Iterator[slice]:
    """All of n rows that give so many columns each, a few at a time."""
    rows = max(1, CELLS // width)
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def moments_of(features: Callable[[slice], Values], n: int, width: int) -> Matrix:
    """[width, width], the covariance of features, in bounded memory.

    Args:
        features: some of the rows to their features [m, width].
        n: how many rows there are.
        width: how many features each has.
    """
    total, products = np.zeros(width), np.zeros((width, width))
    for part in map(features, chunks(n, width)):
        total += part.sum(axis=0)
        products += part.T @ part
    products /= n
    products -= np.outer(total / n, total / n)
    return products


def fit_strengths(table: Table, support: Support) -> Matrix:
    """[d, d], the weights of each attribute's least-squares regression on its causes, on the latent scale.

    Latents have unit spread, so these are standardised coefficients (Wright's path coefficients). Where the causes are
    collinear, they share the weight; an edge of the support is never given zero, which would remove it. Rows in which
    an attribute was set say nothing of its causes and are left out for it.

    >>> from ccigkit import Attribute, Table
    >>> table = Table.fit([Attribute(name, "continuous") for name in "ab"], [[0, 0], [1, 1], [0, 1], [1, 0], [1, 1]])
    >>> fit_strengths(table, np.array([[False, True], [False, False]])).round(2).tolist()
    [[0.0, 0.17], [0.0, 0.0]]

    Args:
        table: the rows.
        support: true [d, d] where row causes column; of an acyclic graph.

    Raises:
        DataError: where the table has no more rows than attributes.
    """
    if table.intervened is None:
        return regress(covariance(table), support)
    strengths = np.where(support, FAINT, 0.0)
    for rows, effects in left_alone(table):
        if len(rows.values) > len(table.names):
            strengths[:, effects] = regress(covariance(rows), support)[:, effects]
    return strengths


def regress(moments: Matrix, support: Support) -> Matrix:
    """`fit_strengths` from the covariance [d, d], for a learner that has it already."""
    strengths = np.zeros_like(moments)
    for j, causes in enumerate(np.asarray(support, dtype=bool).T):
        if causes.any():
            strengths[causes, j] = np.linalg.lstsq(moments[np.ix_(causes, causes)], moments[causes, j], rcond=1e-10)[0]
    return np.where(support & (np.abs(strengths) < FAINT), FAINT, strengths)

"""Directed graphs as matrices: what can be reached, cycles, orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ccigkit.errors import GraphError

Matrix = npt.NDArray[np.float64]


def paired(pairs: Iterable[Iterable[str]], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """[d, d], symmetric, true for each pair of names."""
    joined = np.zeros((len(names), len(names)), dtype=bool)
    for one, other in pairs:
        joined[names.index(one), names.index(other)] = joined[names.index(other), names.index(one)] = True
    return joined


def reachability(adjacency: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """[d, d], true where column can be reached from row by one edge or more.

    Examples:
        >>> chain = np.array([[False, True, False], [False, False, True], [False, False, False]])
        >>> reachability(chain).astype(int).tolist()
        [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    """
    reach = adjacency.copy()
    for k in range(len(reach)):  # Warshall
        reach |= np.outer(reach[:, k], reach[k])
    return reach


def find_cycle(adjacency: npt.NDArray[np.bool_]) -> list[int]:
    """The nodes along one directed cycle, or nothing where the graph is acyclic."""
    looping = np.flatnonzero(np.diag(reachability(adjacency)))
    if not len(looping):
        return []
    start = int(looping[0])
    paths = [[start]]
    while True:  # breadth first, so the cycle named is a shortest one
        path = paths.pop(0)
        if adjacency[path[-1], start]:
            return path
        paths += [[*path, int(j)] for j in np.flatnonzero(adjacency[path[-1]]) if j not in path]


def topological_order(adjacency: npt.NDArray[np.bool_]) -> list[int]:
    """Positions, causes before effects; among equals the lowest position first (Kahn's algorithm).

    Examples:
        >>> topological_order(np.array([[False, False], [True, False]]))
        [1, 0]
    """
    waiting = adjacency.sum(axis=0)
    order: list[int] = []
    left = set(range(len(adjacency)))
    while left:
        ready = min((i for i in left if waiting[i] == 0), default=None)
        if ready is None:
            raise GraphError("the graph has a cycle, so it has no causal order")
        order.append(ready)
        left.remove(ready)
        waiting = waiting - adjacency[ready]
    return order


def acyclic(weights: Matrix, required: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
    """[d, d], the edges of a weighted graph that survive when its cycles are broken.

    Edges enter from the strongest to the weakest, and one that would close a cycle stays out (so of a cycle the
    weakest edge goes). Edges that are `required` enter first.

    Args:
        weights: [d, d], of which only the size counts; 0 is no edge.
        required: true [d, d] where an edge must stay.

    Examples:
        >>> acyclic(np.array([[0.0, 0.9], [0.4, 0.0]])).astype(int).tolist()
        [[0, 1], [0, 0]]
    """
    size = len(weights)
    kept = np.zeros((size, size), dtype=bool)
    reach = np.eye(size, dtype=bool)
    rank = np.abs(weights).astype(float)
    if required is not None:
        rank[required] = np.inf
    for flat in np.argsort(-rank, axis=None, kind="stable"):
        i, j = divmod(int(flat), size)
        if rank[i, j] == 0:
            break
        if i != j and not reach[j, i]:
            kept[i, j] = True
            reach |= np.outer(reach[:, i], reach[j])
    return kept

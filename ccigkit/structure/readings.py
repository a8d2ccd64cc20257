"""Directions from readings: what a picture shows by degree tells cause from effect where yes and no do not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ccigkit.causal.attributes import Values
from ccigkit.causal.graph import CausalGraph, Knowledge, reachability
from ccigkit.causal.strengths import Support, regress
from ccigkit.structure.tables import listed

LEAST = 0.1  # a standardised weight on readings below which an edge is left out
COSH, BELL, NORMAL = (
    79.047,
    7.4129,
    0.37457,
)  # of Hyvärinen's approximation of an entropy; the last is E log cosh N(0, 1)


def directed(graph: CausalGraph, readings: Values, knowledge: Knowledge) -> CausalGraph:
    """The graph with its edges turned along the causal order of readings, and without those that vanish in them.

    Who is joined with whom is the graph's: labels say that without the error of a reader. Which way round, readings
    say, as `causal_order` finds it. An edge whose standardised weight on readings is below 0.1 is left out: of labels,
    which are coarse, a cause of the cause still helps to explain the effect. Notes say what changed.

    Args:
        graph: learned from labels; it honours the knowledge.
        readings: [n, d], of the graph's attributes in their order, on any scale.
        knowledge: what is known beforehand.

    Raises:
        GraphError: where the required edges contradict the rest of the knowledge.

    Examples:
        >>> noise = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
        >>> wrong = CausalGraph.from_edges(["effect", "cause"], ["effect -> cause"])
        >>> directed(wrong, np.column_stack([noise[:, 0] + noise[:, 1], noise[:, 1]]), Knowledge()).edges
        [('cause', 'effect')]
    """
    names = graph.names
    allowed, required = knowledge.allowed(names), knowledge.required_edges(names)
    joined = graph.adjacency | graph.adjacency.T
    one_way = joined & allowed & ~allowed.T
    order = causal_order(readings, required | (one_way & ~reachability(one_way).T))
    place = np.argsort(order)
    along = (joined & allowed & (place[:, None] < place)) | required
    weights = regress(np.corrcoef(readings, rowvar=False).reshape(len(names), -1), along)
    found = np.where((np.abs(weights) >= LEAST) | required, weights, 0.0)
    turned, gone = (found != 0) & graph.adjacency.T, graph.adjacency & (found == 0) & (found == 0).T
    changes = [("turned to", turned), ("left out", gone)]
    said = "; ".join(f"{what} {listed(edges, names)}" for what, edges in changes if edges.any())
    note = f"directed by what the encoder reads: {said or 'no edge changed'}"
    return replace(graph, strengths=found, notes=(note,))


def causal_order(readings: Values, before: Support) -> list[int]:
    """The columns of readings [n, d] from causes to effects, for linear effects and noise that is not normal.

    DirectLiNGAM (Shimizu et al., 2011) with the pairwise measure of Hyvärinen and Smith (2013): the attribute comes
    first that is least dependent on what it leaves of the others, its part is taken out of them, and so on.

    Args:
        readings: [n, d], on any scale, no column constant.
        before: true [d, d] where the row is known to come before the column; without a cycle.
    """
    left, order = readings - readings.mean(axis=0), []
    rest = list(range(readings.shape[1]))
    while rest:
        first = [i for i, x in enumerate(rest) if not before[rest, x].any()]
        columns = left[:, rest] / left[:, rest].std(axis=0)
        best = rest[first[int(np.argmin(_dependence(columns)[first]))]]
        order.append(best)
        rest.remove(best)
        cause = left[:, best] / left[:, best].std()
        left[:, rest] -= np.outer(cause, cause @ left[:, rest] / len(cause))
    return order


def _dependence(columns: Values) -> Values:
    """[d], how much each of standardised columns [n, d] depends on what it leaves of the others.

    For each pair the entropies of one way, cause and residual, against those of the other (Hyvärinen and Smith, 2013);
    only what speaks against an attribute as the cause counts, squared.
    """
    correlation = np.clip(columns.T @ columns / len(columns), -1 + 1e-9, 1 - 1e-9)
    own = _entropy(columns)
    residual = np.zeros_like(correlation)  # [cause, effect]
    for cause, weights in enumerate(correlation):
        rest = (columns - np.outer(columns[:, cause], weights)) / np.sqrt(1 - weights**2)
        residual[cause] = _entropy(rest)
    gain = own[None] + residual.T - own[:, None] - residual
    np.fill_diagonal(gain, 0.0)
    return np.asarray((np.minimum(gain, 0.0) ** 2).sum(axis=1))


def _entropy(columns: Values) -> Values:
    """[d], the entropies of columns [n, d] of unit variance, by Hyvärinen's (1998) approximation."""
    peaked = (np.logaddexp(columns, -columns) - math.log(2)).mean(axis=0) - NORMAL
    skewed = (columns * np.exp(-(columns**2) / 2)).mean(axis=0)
    return np.asarray((1 + math.log(2 * math.pi)) / 2 - COSH * peaked**2 - BELL * skewed**2)

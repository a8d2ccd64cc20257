"""How far a learned graph is from the true one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccigkit.causal.graph import CausalGraph, Matrix
from ccigkit.causal.strengths import Support
from ccigkit.errors import ConfigError


@dataclass(frozen=True)
class Score:
    """Edges found among the true ones: what is found is right (precision), what is right is found (recall).

    A share of nothing is 1: who claims no edge claims none wrongly, and where there is none, none is missed.
    """

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        """The share of the edges found that are true."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """The share of the true edges that are found."""
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        both = self.found + self.true
        return 2 * self.right / both if both else 1.0


@dataclass(frozen=True)
class Comparison:
    """A learned graph against the true one."""

    shd: int  # a reversal counts one
    skeleton: Score
    arrows: Score
    auprc: float


def compare(graph: CausalGraph, truth: CausalGraph) -> Comparison:
    """All that is counted edge by edge; `adjustment_distances` has what follows from the graph as a whole.

    Scores are those of the directed part. The SHD counts hidden common causes, too (`CausalGraph.shd`).

    >>> truth = CausalGraph.from_edges("abc", ["a -> b", "b -> c"])
    >>> found = compare(CausalGraph.from_edges("abc", ["b -> a", "b -> c"]), truth)
    >>> found.shd, found.skeleton.f1, found.arrows.precision
    (1, 1.0, 0.5)
    """
    truth = truth.reordered(graph.names)
    ours, theirs = graph.adjacency, truth.adjacency
    skeletons = np.triu(ours | ours.T), np.triu(theirs | theirs.T)
    return Comparison(graph.shd(truth), score(*skeletons), score(ours, theirs), auprc(graph.strengths, truth))


def score(found: Support, true: Support) -> Score:
    """The score of edges [d, d] against the true ones [d, d]."""
    return Score(int((found & true).sum()), int(found.sum()), int(true.sum()))


def auprc(strengths: Matrix, truth: CausalGraph) -> float:
    """The area under precision against recall as ever weaker arrows [d, d] are let in; chance is the truth's density.

    Average precision: each true arrow adds the precision at its strength. Arrows of one strength are let in together,
    so those of strength zero come last, at once. Where there is no true arrow, it is 1 for a graph without any, else 0.
    """
    pairs = ~np.eye(len(strengths), dtype=bool)
    ranks, true = np.abs(strengths)[pairs], truth.adjacency[pairs]
    if not true.any():
        return float(not ranks.any())
    levels = np.unique(ranks)[::-1]
    let_in = np.array([(ranks >= level).sum() for level in levels])
    right = np.array([true[ranks >= level].sum() for level in levels])
    return float((np.diff(right, prepend=0) * right / let_in).sum() / true.sum())


@dataclass(frozen=True)
class Distances:
    """Of all pairs (cause, effect), those whose interventional distribution a graph would get wrong.

    `sid` adjusts for the cause's parents in the learned graph (Peters and Bühlmann, 2015; between DAGs that is also the
    parent adjustment distance), `ancestor` for its ancestors (Henckel et al., 2024).
    """

    pairs: int
    sid: int
    ancestor: int


def adjustment_distances(graph: CausalGraph, truth: CausalGraph) -> Distances:
    """What a learned graph gets wrong about the effects of interventions, by gadjid.

    Of both graphs the directed part alone is looked at: a hidden common cause is neither a cause nor a set to adjust
    for, so that a truth which has some counts as the DAG that it is without them.

    Raises:
        ConfigError: where gadjid is not installed.
    """
    try:
        import gadjid
    except ImportError:
        raise ConfigError("SID and ancestor distance need gadjid: pip install 'ccigkit[metrics]'") from None
    theirs, ours = (g.adjacency.astype(np.int8) for g in (truth.reordered(graph.names), graph))
    size = len(graph.names)
    if size < 2:  # gadjid wants a pair
        return Distances(0, 0, 0)
    sid, ancestor = (
        distance(theirs, ours, edge_direction="from row to column")[1] for distance in (gadjid.sid, gadjid.ancestor_aid)
    )
    return Distances(size * (size - 1), int(sid), int(ancestor))

"""The graph a model works with, against the true one."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from ccigkit.causal.graph import CausalGraph
from ccigkit.component.options import Seed
from ccigkit.data.base import DataModule
from ccigkit.errors import DataError
from ccigkit.metrics.base import ImageModel, Metric, Row, graph_of
from ccigkit.structure.assess.compare import adjustment_distances, compare

RANDOM = 20


class Graph(Metric):
    """The model's causal graph against the true one: edges and arrows found, effects that it would get wrong.

    A reversed edge counts one in `shd`; `auprc` ranks arrows by strength; `sid` and `ancestor` count the pairs whose
    effect the graph would get wrong (where gadjid is installed). The rows `empty` and `random` are no graph at all, and
    the mean of twenty of the model's own size. All is about the directed part, but for `shd`, which counts a hidden
    common cause that one of the two graphs lacks.

    Args:
        seed: seed of the random graphs.
    """

    name = "graph"

    def __init__(self, *, seed: Seed = 0) -> None:
        self.seed = seed

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        graph = graph_of(model)
        if graph is None:
            raise DataError(f"graph is about a model's causal graph, and {type(model).__name__} shows none")
        if data.truth is None:
            raise DataError(f"graph needs data of which the true graph is known, and {data.name}'s is not")
        random = np.random.default_rng(self.seed)
        size, edges = len(graph.names), len(graph.edges)
        drawn = [against(random_graph(graph.names, edges, random), data.truth) for _ in range(RANDOM)]
        rows = {
            "model": against(graph, data.truth),
            "empty": against(CausalGraph(graph.names, np.zeros((size, size))), data.truth),
            "random": {key: float(np.mean([found[key] for found in drawn])) for key in drawn[0]},
            "oracle": against(data.truth, data.truth),
        }
        return [{"do": "nothing", "row": who, **found} for who, found in rows.items()]


def against(graph: CausalGraph, truth: CausalGraph) -> dict[str, float]:
    """A graph's figures against the truth."""
    found = compare(graph, truth)
    figures = {
        "shd": float(found.shd),
        "skeleton_f1": found.skeleton.f1,
        "precision": found.arrows.precision,
        "recall": found.arrows.recall,
        "f1": found.arrows.f1,
        "auprc": found.auprc,
    }
    if find_spec("gadjid"):
        distances = adjustment_distances(graph, truth)
        figures |= {"sid": float(distances.sid), "ancestor": float(distances.ancestor)}
    return figures


def random_graph(names: tuple[str, ...], edges: int, random: np.random.Generator) -> CausalGraph:
    """A directed acyclic graph with this many edges, every one as likely as another under a random order."""
    size = len(names)
    pairs = np.stack(np.triu_indices(size, 1), axis=1)
    order = random.permutation(size)
    strengths = np.zeros((size, size))
    for a, b in order[random.permutation(pairs)[:edges]]:
        strengths[a, b] = random.uniform(0.5, 1)
    return CausalGraph(names, strengths)

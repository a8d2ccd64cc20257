"""PC: a graph by tests of conditional independence."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ccigkit.attributes import Attribute, Table, Values
from ccigkit.errors import ConfigError, DataError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.interfaces import StructureLearner
from ccigkit.structure.common import (
    Support,
    canonical,
    covariance,
    listed,
    project,
    refuse_collinear,
    with_strengths,
)
from ccigkit.structure.equivalence import extend

Test = Literal["fisherz", "chisq", "gsq"]


class PC(StructureLearner):
    """The PC algorithm of causal-learn: drop every edge that some test calls needless, then orient the colliders.

    Spirtes et al. (2000); stable variant of Colombo and Maathuis (2014). The data decide only an equivalence class.
    What they leave undirected is directed without making a new collider (Dor and Tarsi, 1992), and a note says which
    edges these are.

    Args:
        test: fisherz is linear, on the latent scale; gsq and chisq count hard labels; auto counts where it can.
        alpha: a dependence less sure than this significance level is none.
    """

    name = "pc"

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        test: Literal["auto", "fisherz", "chisq", "gsq"] = "auto",
        alpha: float = 0.01,
    ) -> None:
        if not 0 < alpha < 1:
            raise ConfigError(f"structure.alpha is a significance level between 0 and 1, got {alpha:g}")
        self.names, self.test, self.alpha = names, test, alpha

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """A member of the equivalence class that the tests and the knowledge leave."""
        ordered = canonical(table)
        allowed, needed = knowledge.allowed(ordered.names), knowledge.needed(ordered.names)
        refuse_collinear(covariance(table), table.names)
        test = self._test(table)
        rows = ordered.latents if test == "fisherz" else ordered.values
        directed, undirected = equivalence_class(rows, test, self.alpha, allowed, needed)
        notes = []
        if undirected.any():
            pairs = listed(np.triu(undirected), ordered.names, "-")
            notes.append(f"the data leave undirected, so the direction is a guess: {pairs}")
        extended = extend(directed, undirected, allowed)
        if extended is None:
            notes.append(
                "tests and knowledge contradict each other: no acyclic graph has just the colliders they ask for"
            )
            extended = directed | (undirected & allowed)
        # an arrow of the data enters before a guess, and of two guesses the one along the order of the columns
        rank = extended * (1.0 + directed + np.triu(undirected) / 2)
        graph = project(rank, needed, ordered.names)
        lost = extended & ~graph.adjacency & ~graph.adjacency.T
        if lost.any():
            notes.append(f"cut because they close a cycle of stronger edges: {listed(lost, ordered.names)}")
        return with_strengths(replace(graph, notes=tuple(notes)), table)

    def _test(self, table: Table) -> Test:
        soft = [a.name for a, column in zip(table.attributes, table.values.T, strict=True) if not _hard(a, column)]
        if self.test == "auto":
            return "fisherz" if soft else "gsq"
        if soft and self.test != "fisherz":
            raise DataError(f"the test {self.test} counts hard labels, but {soft[0]} is graded; use test fisherz")
        return self.test


def _hard(attribute: Attribute, column: Values) -> bool:
    whole = bool((column == np.round(column)).all())
    return attribute.kind == "categorical" or (attribute.kind == "binary" and whole)


def equivalence_class(
    rows: Values, test: Test, alpha: float, allowed: Support, needed: Support
) -> tuple[Support, Support]:
    """Directed and undirected edges [d, d] of what causal-learn's PC leaves of rows [n, d], held to the knowledge.

    causal-learn takes the knowledge as advice (it drops a required edge that no test supports), so it is enforced here.
    """
    from causallearn.graph.GraphNode import GraphNode
    from causallearn.search.ConstraintBased.PC import pc
    from causallearn.utils.PCUtils.BackgroundKnowledge import BackgroundKnowledge

    size = rows.shape[1]
    nodes = [GraphNode(f"X{i + 1}") for i in range(size)]
    advice = BackgroundKnowledge()
    for i, j in np.argwhere(~allowed & ~np.eye(size, dtype=bool)):
        advice.add_forbidden_by_node(nodes[i], nodes[j])
    for i, j in np.argwhere(needed):
        advice.add_required_by_node(nodes[i], nodes[j])
    found = pc(rows, alpha, test, background_knowledge=advice, show_progress=False)
    adjacent, directed = read_endpoints(found.G.graph)
    adjacent = (adjacent | needed | needed.T) & (allowed | allowed.T)
    directed = adjacent & allowed & (directed | ~allowed.T)
    return directed, adjacent & ~directed & ~directed.T


def read_endpoints(graph: npt.NDArray[np.int_]) -> tuple[Support, Support]:
    """Which are adjacent, and which directed [d, d], in causal-learn's matrix of endpoints.

    There graph[j, i] == 1 and graph[i, j] == -1 for i -> j: each entry is the mark at its row's end of the edge.
    """
    return graph != 0, (graph == -1) & (graph.T == 1)

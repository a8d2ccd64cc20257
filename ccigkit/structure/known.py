"""The known graph: nothing is learned but its strengths."""

from __future__ import annotations

from pathlib import Path

from ccigkit.attributes import Table
from ccigkit.errors import GraphError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.interfaces import StructureLearner
from ccigkit.structure.common import listed, with_strengths


class Known(StructureLearner):
    """A graph that is given: from a file, or the one that made the data.

    Args:
        graph: TOML file of the graph, as `ccigkit graph --out` writes it; empty for the data's own truth.
    """

    name = "known"

    def __init__(self, names: tuple[str, ...], *, graph: str = "") -> None:
        self.names, self.path = names, graph

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """The given graph, held to the knowledge, with the table's strengths."""
        graph = CausalGraph.from_toml(Path(self.path)) if self.path else table.truth
        if graph is None:
            raise GraphError("nobody knows this data's graph: set structure.graph to a TOML file, or choose a learner")
        graph = graph.reordered(table.names)
        where = self.path or "the data's true graph"
        if (missing := knowledge.needed(graph.names) & ~graph.adjacency).any():
            raise GraphError(f"{where} lacks what the background knowledge requires: {listed(missing, graph.names)}")
        if (wrong := graph.adjacency & ~knowledge.allowed(graph.names)).any():
            raise GraphError(f"{where} has what the background knowledge forbids: {listed(wrong, graph.names)}")
        return with_strengths(graph, table)

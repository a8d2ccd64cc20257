"""The known graph: nothing is learned but its strengths."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.errors import GraphError, one_of
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.tables import listed, with_strengths


class Known(StructureLearner):
    """A graph that is given: from the literature, from a file, or the one that made the data.

    Args:
        graph: a published graph's name (celeba-smile, celeba-age, ...), or a TOML file as `ccigkit graph --out` writes
            it; empty for the data's own truth.
    """

    name = "known"
    uses_interventions = True

    def __init__(self, names: tuple[str, ...], *, graph: str = "") -> None:
        self.names, self.given = names, graph

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """The given graph, held to the knowledge, with the table's strengths."""
        graph = read_graph(self.given) if self.given else table.truth
        if graph is None:
            raise GraphError(
                "nobody knows this data's graph: set structure.graph to a TOML file or to a published graph "
                f"({', '.join(published())}), or choose a learner"
            )
        where = self.given or "the data's true graph"
        if set(graph.names) != set(table.names):
            raise GraphError(
                f"the graph is over other attributes: {where} has {', '.join(graph.names)}, the data has "
                f"{', '.join(table.names)}; set data.attributes to the graph's, or give another graph"
            )
        graph = graph.reordered(table.names)
        if (missing := knowledge.required_edges(graph.names) & ~graph.adjacency).any():
            raise GraphError(f"{where} lacks what the background knowledge requires: {listed(missing, graph.names)}")
        if (wrong := graph.adjacency & ~knowledge.allowed(graph.names)).any():
            raise GraphError(f"{where} has what the background knowledge forbids: {listed(wrong, graph.names)}")
        return with_strengths(graph, table)


def published() -> list[str]:
    """The names of the graphs that come along."""
    folder = files("ccigkit").joinpath("graphs")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_graph(given: str) -> CausalGraph:
    """A graph from a TOML file, or a published one by its name.

    Raises:
        GraphError: where there is no such file or name, or what it holds is no graph.
    """
    if given.endswith(".toml") or Path(given).is_file():
        return CausalGraph.from_toml(Path(given))
    if given not in published():
        raise GraphError(f"{one_of('graph', given, published())}; or give the path of a .toml file")
    with as_file(files("ccigkit").joinpath("graphs", f"{given}.toml")) as path:
        return CausalGraph.from_toml(path)

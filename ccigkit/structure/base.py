"""Structure learners: from a table of attributes to a causal graph."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, honours
from ccigkit.causal.regimes import observed
from ccigkit.component.component import Component


class StructureLearner(Component):
    """Learns which attribute causes which from the attribute table."""

    kind = "structure"
    default = "auto"
    flag = "How the causal graph is learned."
    wiring = ("names",)
    finds_hidden: ClassVar[bool] = False
    """Whether it looks for hidden common causes itself, so that nobody else need look for them in its graph."""
    uses_interventions: ClassVar[bool] = False
    """Whether it can tell rows in which an attribute was set from others, and so learn from all of them."""

    @abstractmethod
    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """A directed acyclic graph over the table's attributes that honours the knowledge.

        Its strengths need not be effects; what calls this refits them where it wants to.

        Raises:
            GraphError, DataError: where the table or the knowledge cannot be learned from.
        """

    def learnable(self, table: Table) -> Table:
        """The rows that it can learn from: all, or those in which nothing was set.

        Raises:
            DataError: where there are none of those.
        """
        return table if self.uses_interventions else observed(table)

    def explained(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """The same with evidence for each edge, where the learner has any, which takes longer.

        Where gathering that finds a better graph, it is that one.
        """
        return self.learn(table, knowledge)

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        table = lab.toy_table()
        graph = build(table.names).learn(table, Knowledge())
        assert isinstance(graph, CausalGraph), "learn returns a CausalGraph"
        assert graph.names == table.names, "the graph is over the table's attributes, in their order"
        assert build(table.names).learn(table, Knowledge()) == graph, "the same table and options give the same graph"
        if graph.edges and graph.edges == lab.CHAIN.edges:
            known = Knowledge(tiers=(("a", "d"), ("b",), ("c",)))
        else:
            known = Knowledge(forbidden=frozenset({("b", "a"), ("c", "a"), ("c", "b")}))
        honours(build(table.names).learn(table, known), known)
        required = Knowledge(required=frozenset({("a", "b")}), forbidden=frozenset({("c", "d")}))
        honours(build(table.names).learn(table, required), required)
        other = ("c", "a", "d", "b")
        reordered = build(other).learn(table.reordered(other), Knowledge())
        assert set(reordered.edges) == set(graph.edges), "another order of the columns gives the same edges"


class JointStructureLearner(StructureLearner, nn.Module):
    """A structure learner that is itself a network, and can go on learning with the images.

    `learn` leaves its parameters at the learned graph, and joint training goes on from there.
    """

    @abstractmethod
    def adjacency(self) -> Tensor:
        """[d, d], differentiable, of any real weights, the diagonal zero; [i, j] for i -> j."""

    @abstractmethod
    def loss(self, latents: Tensor) -> Mapping[str, Tensor]:
        """The terms "reconstruction", "sparsity" and "acyclicity" for attributes [b, d] on the latent scale."""

    @abstractmethod
    def tighten(self) -> None:
        """One outer step of the constraint: raise the penalty on cycles. Called between rounds of training."""

    @abstractmethod
    def graph(self) -> CausalGraph:
        """The graph now: thresholded, projected to a DAG, with a note on what was cut."""

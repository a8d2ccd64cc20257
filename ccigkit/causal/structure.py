"""The graph inside a model: edge weights within an acyclic mask."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, Matrix
from ccigkit.causal.strengths import fit_strengths


class Structure(nn.Module):
    """The graph inside a model: edge weights [d, d] inside an acyclic mask that no training step changes.

    Whether the weights go on learning is the difference between the schedules "finetune" and "freeze".

    Args:
        graph: the graph, with its strengths as the first weights.
        learns: whether the weights are parameters.

    Examples:
        >>> graph = CausalGraph.from_edges(["a", "b"], ["a -> b : 0.5"])
        >>> Structure(graph).adjacency().tolist()
        [[0.0, 0.5], [0.0, 0.0]]
    """

    mask: Tensor
    weights: Tensor
    confounding: Tensor  # [d, d], symmetric, true where two attributes have a hidden common cause

    def __init__(self, graph: CausalGraph, *, learns: bool = False) -> None:
        super().__init__()
        self.names = graph.names
        self.register_buffer("mask", torch.tensor(graph.adjacency).float())
        self.confound(graph)
        weights = torch.tensor(graph.strengths).float()
        if learns:
            self.weights = nn.Parameter(weights)
        else:
            self.register_buffer("weights", weights)

    def confound(self, graph: CausalGraph) -> None:
        """Take the hidden common causes from a graph; they are known, never learned, and no part of the state."""
        self.confounded = graph.confounded
        self.register_buffer("confounding", torch.tensor(graph.confounding), persistent=False)

    def adjacency(self) -> Tensor:
        """[d, d], acyclic, differentiable."""
        return self.weights * self.mask

    def graph(self) -> CausalGraph:
        """The graph now."""
        strengths = self.adjacency().detach().double().cpu().numpy()
        return CausalGraph(self.names, strengths, confounded=self.confounded)

    @torch.no_grad()
    def set_strengths(self, strengths: Matrix) -> None:
        """Take other weights [d, d] for the same edges."""
        self.weights.copy_(torch.tensor(strengths))

    @torch.no_grad()
    def rewire(self, graph: CausalGraph, table: Table, knowledge: Knowledge) -> None:
        """Take another graph, learned meanwhile; its strengths are those of the table."""
        self.mask.copy_(torch.tensor(graph.adjacency))
        self.set_strengths(fit_strengths(table, graph.adjacency))

    def terms(self, latents: Tensor) -> Mapping[str, Tensor]:
        """Loss terms of the structure itself on attributes [b, d]: none, where the graph is fixed."""
        return {}

    def tighten(self) -> None:
        """Raise the penalty on cycles, where the structure is still being learned. Called between rounds."""

"""The graph inside a model: edge weights within an acyclic mask."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ccigkit.causal.graph import CausalGraph, Matrix


class Structure(nn.Module):
    """The graph inside a model: edge weights [d, d] inside an acyclic mask that never grows.

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

    def __init__(self, graph: CausalGraph, *, learns: bool = False) -> None:
        super().__init__()
        self.names = graph.names
        self.register_buffer("mask", torch.tensor(graph.adjacency).float())
        weights = torch.tensor(graph.strengths).float()
        if learns:
            self.weights = nn.Parameter(weights)
        else:
            self.register_buffer("weights", weights)

    def adjacency(self) -> Tensor:
        """[d, d], acyclic, differentiable."""
        return self.weights * self.mask

    def graph(self) -> CausalGraph:
        """The graph now."""
        return CausalGraph(self.names, self.adjacency().detach().double().cpu().numpy())

    @torch.no_grad()
    def set_strengths(self, strengths: Matrix) -> None:
        """Take other weights [d, d] for the same edges."""
        self.weights.copy_(torch.tensor(strengths))

    def terms(self, latents: Tensor) -> Mapping[str, Tensor]:
        """Loss terms of the structure itself on attributes [b, d]: none, where the graph is fixed."""
        return {}

    def tighten(self) -> None:
        """Raise the penalty on cycles, where the structure is still being learned. Called between rounds."""

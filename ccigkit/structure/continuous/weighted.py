"""A learner of one weight per edge, with a penalty on cycles."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, Matrix
from ccigkit.causal.strengths import FAINT, covariance
from ccigkit.structure.base import JointStructureLearner
from ccigkit.structure.tables import by_skewness, project, with_strengths

STEEPEST = 1e6  # of the quadratic penalty in joint training: beyond it that of a cycle drowns float32 gradients


def cyclicity(weights: Tensor) -> Tensor:
    """h(A) = tr exp(A∘A) - d, zero exactly where A [d, d] is acyclic (Zheng et al., 2018).

    In float64, as h is a small difference of large numbers; on the CPU, as not every accelerator has float64.
    """
    squared = weights.cpu().double().square()
    trace: Tensor = torch.linalg.matrix_exp(squared).trace()
    return (trace - len(weights)).to(weights)


class WeightedLearner(JointStructureLearner):
    """A learner of one weight per edge, with a penalty on cycles: an augmented Lagrangian (Zheng et al., 2018).

    A subclass says how weights explain attributes (`reconstruction`) and how to find them on a table (`fit`), and may
    measure cycles in its own way (`cyclicity`). All that training changes is in parameters and buffers, so a checkpoint
    resumes exactly.

    Args:
        l1: penalty on an edge, per unit of its weight.
        threshold: weights below this are no edges.
    """

    allowed: Tensor
    needed: Tensor  # the required edges, under the name that they have in checkpoints
    alpha: Tensor
    rho: Tensor
    last: Tensor

    def __init__(self, names: tuple[str, ...], l1: float, threshold: float) -> None:
        super().__init__()
        self.names, self.l1, self.threshold = tuple(names), l1, threshold
        size = len(self.names)
        self.weights = nn.Parameter(torch.zeros(size, size))
        self.register_buffer("allowed", ~torch.eye(size, dtype=torch.bool))
        self.register_buffer("needed", torch.zeros(size, size, dtype=torch.bool))
        self.register_buffer("alpha", torch.zeros(()))
        self.register_buffer("rho", torch.ones(()))
        self.register_buffer("last", torch.full((), torch.inf))  # h at the last tightening

    @abstractmethod
    def fit(self, table: Table) -> tuple[str, ...]:
        """Set the weights to what explains the table, whose columns are in the order of the buffers.

        What it returns are notes on how.
        """

    @abstractmethod
    def reconstruction(self, latents: Tensor, weights: Tensor) -> Tensor:
        """Half the squared error [] of each attribute [b, d] given its causes, summed over attributes."""

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """Fit in the order of `by_skewness`, then put the weights, and the graph, in the order that was asked for."""
        ordered = by_skewness(table)
        covariance(table)  # refuses a table with too few rows
        self._set(knowledge, ordered.names)
        self.reset_penalty()
        notes = self.fit(ordered)
        at = torch.tensor([ordered.attributes.index(name) for name in self.names])
        self._set(knowledge, self.names)
        with torch.no_grad():
            self.weights.copy_(self.weights[at][:, at])
            graph = self.graph()
            self.weights.copy_(torch.tensor(self.settled(graph, table)))
        self.reset_penalty()
        return with_strengths(replace(graph, notes=(*notes, *graph.notes)), table)

    def settled(self, graph: CausalGraph, table: Table) -> Matrix:
        """[d, d], the weights with which joint training begins from a learned graph."""
        return graph.strengths

    def _set(self, knowledge: Knowledge, names: tuple[str, ...]) -> None:
        self.needed.copy_(torch.as_tensor(knowledge.required_edges(names)))
        self.allowed.copy_(torch.as_tensor(knowledge.allowed(names)))

    def reset_penalty(self) -> None:
        """Put the penalty on cycles back to what it is at the start."""
        self.alpha.fill_(0.0)
        self.rho.fill_(1.0)
        self.last.fill_(torch.inf)

    def adjacency(self) -> Tensor:
        """[d, d], the weights on the edges that knowledge allows."""
        return self.weights * self.allowed

    def loss(self, latents: Tensor) -> Mapping[str, Tensor]:
        """The augmented Lagrangian in its terms: fit, l1 |A|_1, and alpha h + rho/2 h^2."""
        weights = self.adjacency()
        h = self.cyclicity(weights)
        return {
            "reconstruction": self.reconstruction(latents, weights),
            "sparsity": self.l1 * weights.masked_fill(self.needed, 0).abs().sum(),
            "acyclicity": self.alpha * h + self.rho / 2 * h.square(),
        }

    def cyclicity(self, weights: Tensor) -> Tensor:
        """Of weights [d, d]: a smooth number [], zero exactly where they have no cycle."""
        return cyclicity(weights)

    @torch.no_grad()
    def tighten(self) -> None:
        """Raise alpha by rho h; rho rises tenfold where h has not fallen to a quarter."""
        h = self.cyclicity(self.adjacency())
        self.alpha += self.rho * h
        if h > 0.25 * self.last:
            self.rho.copy_((self.rho * 10).clamp(max=STEEPEST))
        self.last.copy_(h)

    def graph(self) -> CausalGraph:
        """The weights above the threshold, and the required edges, without their cycles."""
        weights = self.scaled()
        strong = (np.abs(weights) >= self.threshold) | self.needed.cpu().numpy()
        graph = project(np.where(strong, weights, 0.0), self.needed.cpu().numpy(), self.names)
        strengths = self.adjacency().detach().cpu().double().numpy()
        return replace(
            graph, strengths=np.where(graph.adjacency & (strengths == 0), FAINT, strengths * graph.adjacency)
        )

    def scaled(self) -> Matrix:
        """[d, d], the weights on the scale of the threshold."""
        return np.asarray(self.adjacency().detach().cpu().double().numpy())

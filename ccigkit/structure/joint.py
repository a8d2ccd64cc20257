"""A structure that goes on learning with the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, Matrix
from ccigkit.causal.structure import Structure
from ccigkit.errors import GraphError
from ccigkit.structure.base import JointStructureLearner


class JointStructure(Structure):
    """A structure that is still being learned: the learner's weights on the edges it would export now.

    Args:
        learner: what learns it.
        begun: the graph it was begun with, whose hidden common causes are kept; the learner's own, if none is given.
    """

    def __init__(self, learner: JointStructureLearner, begun: CausalGraph | None = None) -> None:
        nn.Module.__init__(self)  # the weights and the mask are the learner's, not buffers of its own
        self.learner = learner
        self.confound(begun or learner.graph())

    def adjacency(self) -> Tensor:
        """[d, d], acyclic, differentiable: the learner's weights on the edges that it would export now.

        So an SCM never sees a cycle, whatever the learner still believes.
        """
        weights = self.learner.adjacency()
        return weights * torch.as_tensor(self.graph().adjacency).to(weights)

    def graph(self) -> CausalGraph:
        """The graph now, thresholded and projected by the learner's own rule."""
        return replace(self.learner.graph(), confounded=self.confounded)

    def set_strengths(self, strengths: Matrix) -> None:
        raise GraphError("a structure that is still being learned takes its strengths from its learner")

    def rewire(self, graph: CausalGraph, table: Table, knowledge: Knowledge) -> None:
        """Let the learner learn the table again, of the graph's edges alone; it may leave some of them out."""
        pairs = ~np.eye(len(graph.names), dtype=bool) & ~graph.adjacency
        others = frozenset((graph.names[i], graph.names[j]) for i, j in np.argwhere(pairs))
        device = self.learner.adjacency().device
        self.learner.cpu().learn(table, knowledge.joined(Knowledge(forbidden=others)))
        self.learner.to(device)

    def terms(self, latents: Tensor) -> Mapping[str, Tensor]:
        return self.learner.loss(latents)

    def tighten(self) -> None:
        self.learner.tighten()

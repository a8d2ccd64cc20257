"""A structure that goes on learning with the images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ccigkit.causal.graph import CausalGraph
from ccigkit.structure.base import JointStructureLearner


class JointStructure(nn.Module):
    """A structure that is still being learned: the learner's weights on the edges it would export now."""

    def __init__(self, learner: JointStructureLearner) -> None:
        super().__init__()
        self.learner = learner

    def adjacency(self) -> Tensor:
        """[d, d], acyclic, differentiable: the learner's weights on the edges that it would export now.

        So an SCM never sees a cycle, whatever the learner still believes.
        """
        weights = self.learner.adjacency()
        return weights * torch.as_tensor(self.graph().adjacency).to(weights)

    def graph(self) -> CausalGraph:
        """The graph now, thresholded and projected by the learner's own rule."""
        return self.learner.graph()

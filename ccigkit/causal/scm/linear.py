"""The linear SCM: a weighted sum of the causes, plus noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ccigkit.causal.scm.base import SCM


class LinearSCM(SCM):
    """z = b + s v with v = A^T v + u: every effect a weighted sum of its causes, the adjacency being the weights.

    DEAR's composite prior with an affine f2 (Shen et al. 2022, section 4.1). Scale s and offset b start at 1 and 0,
    where the noise is that of standardised attributes, and move only with an objective that learns the SCM through
    the discriminator.
    """

    name = "linear"

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.log_scale = nn.Parameter(torch.zeros(size))
        self.offset = nn.Parameter(torch.zeros(size))

    def mechanism(self, z: Tensor, adjacency: Tensor, u: Tensor) -> Tensor:
        v = (z - self.offset) / self.log_scale.exp()
        return (v @ adjacency + u) * self.log_scale.exp() + self.offset

    def inverse(self, z: Tensor, adjacency: Tensor) -> Tensor:
        v = (z - self.offset) / self.log_scale.exp()
        return v - v @ adjacency

    def loss(self, z: Tensor, adjacency: Tensor) -> Tensor:
        # In units of z: measured in units of u, the loss would fall by inflating the scale alone.
        return (self.inverse(z, adjacency) * self.log_scale.exp()).square().mean()

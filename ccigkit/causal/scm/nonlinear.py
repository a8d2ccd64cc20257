"""The nonlinear SCM: a small network per effect, plus noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccigkit.causal.scm.base import SCM
from ccigkit.component.options import Count


class NonlinearSCM(SCM):
    """z_j = f_j(A_1j z_1, ..., A_dj z_d) + u_j: additive noise, f_j a network of one hidden layer.

    The nonlinear additive noise model (Hoyer et al. 2009), all mechanisms in one batched product. The adjacency
    weighs what each network sees of each cause; without causes f_j is a constant.

    Args:
        hidden: width of each mechanism's hidden layer.
    """

    name = "nonlinear"

    def __init__(self, size: int, *, hidden: Count = 32) -> None:
        super().__init__(size)
        self.hidden = hidden
        self.into = nn.Parameter(torch.randn(size, size, hidden) / size**0.5)
        self.bias = nn.Parameter(torch.randn(size, hidden))
        self.out = nn.Parameter(torch.randn(size, hidden) / hidden)
        self.shift = nn.Parameter(torch.zeros(size))

    def effects(self, z: Tensor, adjacency: Tensor) -> Tensor:
        """f_j of z [b, d] for every j at once, [b, d]."""
        hidden = torch.einsum("bi,ij,ijh->bjh", z, adjacency, self.into) + self.bias
        return torch.einsum("bjh,jh->bj", F.silu(hidden), self.out) + self.shift

    def mechanism(self, z: Tensor, adjacency: Tensor, u: Tensor) -> Tensor:
        return self.effects(z, adjacency) + u

    def inverse(self, z: Tensor, adjacency: Tensor) -> Tensor:
        return z - self.effects(z, adjacency)

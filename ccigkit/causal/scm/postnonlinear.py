"""The post-nonlinear SCM: a weighted sum of the causes, plus noise, seen through a curve."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from ccigkit.causal.scm.base import SCM
from ccigkit.causal.scm.spline import Spline


class PostNonlinearSCM(SCM):
    """z_j = f_j(v_j), v_j = u_j plus the sum over i of A_ij w_ij v_i: a linear model behind a curve for each attribute.

    DEAR's nonlinear prior (Shen et al. 2022, section 4.1), a post-nonlinear model (Zhang and Hyvarinen 2009). DEAR's
    curves are piecewise linear, whose likelihood jumps where a value changes its piece; these are monotone rational
    quadratic splines (Durkan et al. 2019). The weights w start at 1, the curves as straight lines. Fitted by maximum
    likelihood under normal noise; what is drawn afterwards follows the noise that the table left over.

    Args:
        bins: pieces of each curve.
    """

    name = "postnonlinear"

    def __init__(self, size: int, *, bins: Annotated[int, Ge(2)] = 8) -> None:
        super().__init__(size)
        self.bins = bins
        self.curve = nn.Parameter(torch.zeros(size, 3 * bins - 1))
        self.weight = nn.Parameter(torch.ones(size, size))
        self.log_spread = nn.Parameter(torch.zeros(size))  # of the noise, for the likelihood alone

    def mechanism(self, z: Tensor, adjacency: Tensor, u: Tensor) -> Tensor:
        curve = Spline.of(self.curve.double())
        v = curve.forward(z.double())[0] @ (adjacency * self.weight).double() + u
        return curve.inverse(v).to(z.dtype)

    def inverse(self, z: Tensor, adjacency: Tensor) -> Tensor:
        return self._noise(z, adjacency)[0].to(z.dtype)

    def loss(self, z: Tensor, adjacency: Tensor) -> Tensor:
        """Minus the mean log-likelihood of z [b, d], up to a constant."""
        u, log_slope = self._noise(z, adjacency)
        return ((u / self.log_spread.exp()).square() / 2 + self.log_spread - log_slope).mean().to(z.dtype)

    def _noise(self, z: Tensor, adjacency: Tensor) -> tuple[Tensor, Tensor]:
        """The noise [b, d] of z [b, d] and the logarithm of its slope there, in double precision."""
        v, log_slope = Spline.of(self.curve.double()).forward(z.double())
        return v - v @ (adjacency * self.weight).double(), log_slope

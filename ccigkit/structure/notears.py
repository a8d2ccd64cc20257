"""NOTEARS: a graph by continuous optimisation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import expm
from scipy.optimize import minimize
from torch import Tensor

from ccigkit.attributes import Table
from ccigkit.graph import Matrix
from ccigkit.structure.common import Support, WeightedLearner, covariance

H_TOLERANCE, RHO_MAX, NUDGE = 1e-8, 1e16, 1e-3


class Notears(WeightedLearner):
    """Linear NOTEARS: least squares and L1 under a smooth acyclicity constraint, on standardised attributes.

    Zheng et al. (2018). All attributes are brought to unit spread first, so that their units tell nothing about the
    order; what is then identifiable is mostly the skeleton, and tiers give the arrows.

    Args:
        l1: price of an edge, per unit of its standardised weight.
        threshold: standardised weights below this are no edges.
    """

    name = "notears"

    def __init__(self, names: tuple[str, ...], *, l1: float = 0.02, threshold: float = 0.2) -> None:
        super().__init__(names, l1, threshold)

    def fit(self, table: Table) -> None:
        """The augmented Lagrangian on the covariance: its cost does not depend on the number of rows."""
        weights = notears(covariance(table), self.allowed.cpu().numpy(), self.l1 * ~self.needed.cpu().numpy())
        with torch.no_grad():
            self.weights.copy_(torch.as_tensor(weights))

    def reconstruction(self, latents: Tensor, weights: Tensor) -> Tensor:
        """1/2 |z - z A|^2 per row, latents [b, d]."""
        return 0.5 * (latents - latents @ weights).square().sum(dim=1).mean()


def notears(moments: Matrix, allowed: Support, l1: Matrix) -> Matrix:
    """[d, d], the least of tr((I-W)' S (I-W))/2 + sum(l1 |W|) subject to h(W) = 0 (Zheng et al., 2018, eq. 8 to 14).

    S [d, d] is the covariance. W = positive - negative part, both bounded below by zero, so that L1 is smooth; weights
    that are not allowed are no variables at all.
    """
    size = len(moments)
    prices = np.tile(l1[allowed], 2)
    count = len(prices) // 2

    def unpack(parts: npt.NDArray[np.float64]) -> Matrix:
        weights = np.zeros((size, size))
        weights[allowed] = parts[:count] - parts[count:]
        return weights

    def h_of(weights: Matrix) -> float:
        return float(np.trace(expm(weights * weights)) - size)

    def lagrangian(parts: npt.NDArray[np.float64], alpha: float, rho: float) -> tuple[float, npt.NDArray[np.float64]]:
        weights = unpack(parts)
        exponential = expm(weights * weights)
        h = np.trace(exponential) - size
        residual = moments @ (np.eye(size) - weights)
        value = 0.5 * np.trace((np.eye(size) - weights).T @ residual) + prices @ parts + alpha * h + rho / 2 * h * h
        slope = (-residual + (alpha + rho * h) * exponential.T * 2 * weights)[allowed]
        return float(value), np.concatenate([slope, -slope]) + prices

    # On standardised data i -> j and j -> i look alike, and zero is a saddle between them: a nudge towards the order of
    # the columns decides, where otherwise rounding would.
    nudge = NUDGE * np.triu(np.ones((size, size)), 1)[allowed]
    parts, alpha, rho, h = np.concatenate([nudge, np.zeros(count)]), 0.0, 1.0, np.inf
    while count and h > H_TOLERANCE and rho < RHO_MAX:
        solved = minimize(lagrangian, parts, (alpha, rho), "L-BFGS-B", jac=True, bounds=[(0, None)] * (2 * count)).x
        now = h_of(unpack(solved))
        if now > 0.25 * h:  # not enough: the same step again, at a steeper price
            rho *= 10
            continue
        parts, h = solved, now
        alpha += rho * h
    return unpack(parts)

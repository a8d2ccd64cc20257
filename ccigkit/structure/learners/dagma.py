"""DAGMA: a graph by continuous optimisation, from inside the set of matrices whose log-determinant knows cycles."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ccigkit.causal.attributes import Values
from ccigkit.causal.graph import Matrix
from ccigkit.structure.continuous.equations import Equations, ModelLearner, penalised
from ccigkit.structure.continuous.owlqn import minimise

PATH = ((1.0, 1.0), (0.1, 0.9), (0.01, 0.8), (0.001, 0.7))  # of the loss's share mu and of s (Bello et al., 2022)


class Dagma(ModelLearner):
    """DAGMA: least squares or likelihood, and L1, under a log-determinant that vanishes where there are no cycles.

    Bello et al. (2022), on standardised attributes; the path is theirs, the descent is quasi-Newton. As for `notears`,
    linear equations need only the covariance, and mostly the skeleton is identifiable. In joint training the loss is
    the linear one, on the latents, whatever the model.
    """

    name = "dagma"

    def solve(self, equations: Equations) -> Values:
        return dagma(equations, self.l1)

    def cyclicity(self, weights: Tensor) -> Tensor:
        """-log det(s I - A∘A) + d log s, with s large enough for any A [d, d]; in float64, as it is a difference."""
        squared = weights.cpu().double().square()
        s = 1 + squared.detach().sum(dim=0).max()
        left = torch.eye(len(squared)).double() - squared / s
        h: Tensor = -torch.linalg.slogdet(left).logabsdet
        return h.to(weights)


def dagma(equations: Equations, l1: float) -> Values:
    """[p], the least mu (loss + l1 |parameters|) + h, as mu falls along the path (Bello et al., 2022, algorithm 1).

    Where the last step's end is out of the next one's domain, its s is raised until it is not.
    """
    parameters = equations.start
    for mu, least in PATH:
        s = least
        while not np.isfinite(cyclicity(equations.squares(parameters), s)[0]):
            s += 0.1
        barrier = penalised(equations, partial(cyclicity, s=s), 1 / mu)
        parameters = minimise(barrier, parameters, l1 * equations.penalty, equations.tolerance)
    return parameters


def cyclicity(squares: Matrix, s: float) -> tuple[float, Matrix]:
    """The h of squared weights [d, d], -log det(s I - squares) + d log s, and its slope; infinite out of its domain.

    The domain is where s I - squares is an M-matrix: where its inverse has no negative entry.
    """
    left = s * np.eye(len(squares)) - squares
    sign, logarithm = np.linalg.slogdet(left)
    if sign <= 0:
        return np.inf, squares
    slopes = np.asarray(np.linalg.inv(left).T, dtype=np.float64)
    if slopes.min(initial=0.0) < -1e-12:
        return np.inf, squares
    return float(len(squares) * np.log(s) - logarithm), slopes

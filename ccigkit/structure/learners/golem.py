"""GOLEM: a graph by maximum likelihood with a soft penalty on edges and cycles."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.strengths import Support
from ccigkit.component.options import Weight
from ccigkit.structure.continuous.equations import (
    EquationLearner,
    Equations,
    Linear,
    linear,
    penalised,
    refuse_faint,
)
from ccigkit.structure.continuous.owlqn import minimise
from ccigkit.structure.learners.notears import cyclicity

LEAST = 1e-10  # variance that counts as none


class Golem(EquationLearner):
    """GOLEM: the Gaussian likelihood of a linear model, with a penalty on edges, and one on cycles that never rises.

    Ng et al. (2020), on standardised attributes, from the covariance alone. The likelihood's log-determinant keeps most
    cycles away; those that are left are cut. ev is the likelihood for noise of equal variances, which standardising
    takes away; nv, for any variances, starts from its result. In joint training the penalty on cycles does rise.

    Args:
        likelihood: ev (noise of equal variances) or nv (of any variances).
        cycles: penalty on cycles, per unit of their h.
    """

    name = "golem"

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        likelihood: Literal["ev", "nv"] = "nv",
        l1: Weight = 0.1,
        cycles: Weight = 5.0,
        threshold: Weight = 0.1,
        standardise: bool = True,
    ) -> None:
        super().__init__(names, l1, threshold)
        self.likelihood, self.cycles, self.standardise = likelihood, cycles, standardise

    def equations(self, table: Table, allowed: Support, required: Support) -> Equations:
        if not self.standardise:
            refuse_faint(table, LEAST**0.5)
        least_squares = linear(table, allowed, required, self.standardise)
        found: Equations = EqualVariances(least_squares.moments, allowed, required)
        if self.likelihood == "nv":
            start, found = self.solve(found), UnequalVariances(least_squares.moments, allowed, required)
            found.start = start
        found.notes = least_squares.notes
        return found

    def solve(self, equations: Equations) -> Values:
        """The least loss + l1 |W| + cycles h(W)."""
        softly = penalised(equations, cyclicity, self.cycles)
        return minimise(softly, equations.start, self.l1 * equations.penalty, equations.tolerance)

    def reconstruction(self, latents: Tensor, weights: Tensor) -> Tensor:
        """Minus the log-likelihood per row, up to a constant, of latents [b, d]."""
        variances = (latents - latents @ weights).square().mean(dim=0).clamp(min=LEAST)
        size = len(weights)
        fit = size * variances.sum().log() if self.likelihood == "ev" else variances.log().sum()
        mixing = torch.eye(size).double() - weights.cpu().double()  # not every accelerator has float64, or determinants
        determinant: Tensor = torch.linalg.slogdet(mixing).logabsdet
        return fit / 2 - determinant.to(fit)


class Likelihood(Linear):
    """x = x W + Gaussian noise, by likelihood: unlike least squares it allows for cycles, -log |det(I - W)|."""

    def loss(self, parameters: Values) -> tuple[float, Values]:
        left = self.identity - self.weights(parameters)
        residual = self.moments @ left
        variances = np.maximum((left * residual).sum(axis=0), LEAST)
        _, logarithm = np.linalg.slogdet(left)
        if not np.isfinite(logarithm):
            return np.inf, parameters
        fit, scale = self.fit(variances)
        return fit - float(logarithm), (np.linalg.inv(left).T - residual / scale)[self.allowed]

    @abstractmethod
    def fit(self, variances: Values) -> tuple[float, Values]:
        """What noise variances [d] cost, and what squared errors are divided by [d] or [1] in its slope."""


class EqualVariances(Likelihood):
    """The noise of all attributes has one variance."""

    def fit(self, variances: Values) -> tuple[float, Values]:
        return len(variances) / 2 * float(np.log(variances.sum())), np.asarray(variances.mean(keepdims=True))


class UnequalVariances(Likelihood):
    """The noise of each attribute has its own variance."""

    def fit(self, variances: Values) -> tuple[float, Values]:
        return float(np.log(variances).sum()) / 2, variances

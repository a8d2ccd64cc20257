"""NOTEARS: a graph by continuous optimisation, the penalty on its cycles rising until there are none."""

from __future__ import annotations

import numpy as np

from ccigkit.causal.attributes import Values
from ccigkit.causal.graph import Matrix
from ccigkit.structure.continuous.equations import Equations, ModelLearner, penalised
from ccigkit.structure.continuous.owlqn import minimise

H_TOLERANCE, RHO_MAX = 1e-8, 1e16
STEEPER = 3  # how much the penalty rises; tenfold, as published, ends in worse optima (SHD 9.8 for 6.8, d=50, 8 seeds)
TERMS, LARGEST = 8, 300.0  # of the exponential's series, at a norm below 1/2; and of the norm


class Notears(ModelLearner):
    """NOTEARS: least squares or likelihood, and L1, under a smooth acyclicity constraint, on standardised attributes.

    Zheng et al. (2018), and for logistic and mlp Zheng et al. (2020). All attributes are brought to unit spread first,
    so that their units tell nothing about the order; what is then identifiable is mostly the skeleton, and tiers give
    the arrows. Linear equations need only the covariance, so that the time does not depend on the number of rows. In
    joint training the loss is the linear one, on the latents, whatever the model.
    """

    name = "notears"

    def solve(self, equations: Equations) -> Values:
        return notears(equations, self.l1)


def notears(equations: Equations, l1: float) -> Values:
    """[p], the least loss + l1 |parameters| subject to h = 0, by an augmented Lagrangian (Zheng et al., 2018)."""
    parameters, alpha, rho, before = equations.start, 0.0, 1.0, np.inf
    while before > H_TOLERANCE and rho < RHO_MAX:
        lagrangian = penalised(equations, cyclicity, alpha, rho)
        solved = minimise(lagrangian, parameters, l1 * equations.penalty, equations.tolerance)
        h, _ = cyclicity(equations.squares(solved))
        if h > 0.25 * before:  # not enough: the same step again, at a steeper penalty
            rho *= STEEPER
            continue
        parameters, before = solved, h
        alpha += rho * h
    return parameters


def cyclicity(squares: Matrix) -> tuple[float, Matrix]:
    """The h of squared weights [d, d], tr exp(squares) - d, and its slope exp(squares)', by scaling and squaring.

    A truncated series is as exact about whether there is a cycle, as all its terms are positive. Where the exponential
    would be too large for a float, h is infinite.
    """
    norm = squares.sum(axis=0).max(initial=0.0)
    if norm > LARGEST:
        return np.inf, squares
    halvings = max(0, int(np.ceil(np.log2(norm + 1e-9))) + 1)
    identity, scaled = np.eye(len(squares)), squares / 2**halvings
    exponential = identity + scaled / TERMS
    for term in range(TERMS - 1, 0, -1):
        exponential = identity + scaled @ exponential / term
    for _ in range(halvings):
        exponential = exponential @ exponential
    return float(np.trace(exponential)) - len(squares), exponential.T

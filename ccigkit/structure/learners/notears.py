"""NOTEARS: a graph by continuous optimisation, the price of its cycles rising until there are none."""

from __future__ import annotations

import numpy as np

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.graph import Matrix
from ccigkit.causal.strengths import Support
from ccigkit.structure.continuous.equations import EquationLearner, Equations, Model, ModelName, priced
from ccigkit.structure.continuous.owlqn import minimise

H_TOLERANCE, RHO_MAX = 1e-8, 1e16
STEEPER = 3  # the price's next rise; tenfold, as published, ends in worse optima (SHD 9.8 for 6.8, d=50, 8 seeds)
TERMS, LARGEST = 8, 300.0  # of the exponential's series, at a norm below 1/2; and of the norm


class Notears(EquationLearner):
    """NOTEARS: least squares or likelihood, and L1, under a smooth acyclicity constraint, on standardised attributes.

    Zheng et al. (2018), and for logistic and mlp Zheng et al. (2020). All attributes are brought to unit spread first,
    so that their units tell nothing about the order; what is then identifiable is mostly the skeleton, and tiers give
    the arrows. Linear equations need only the covariance, so that the time does not depend on the number of rows. In
    joint training the loss is the linear one, on the latents, whatever the model.

    Args:
        l1: price of an edge, per unit of its weight.
        threshold: weights below this are no edges.
        model: linear, logistic (labels 0 and 1), mlp (curved effects), or auto: logistic where all are labels 0 and 1,
            else linear.
        standardise: bring attributes to unit spread; without, their scale decides much of the order.
        hidden: width of each small network of mlp.
        rows: how many rows logistic and mlp look at, evenly spread over the sorted table.
        seed: of the first weights of mlp.
    """

    name = "notears"

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        l1: float = 0.02,
        threshold: float = 0.2,
        model: ModelName = "auto",
        standardise: bool = True,
        hidden: int = 10,
        rows: int = 10_000,
        seed: int = 0,
    ) -> None:
        super().__init__(names, l1, threshold)
        self.model = Model(model, standardise, hidden, rows, seed)

    def equations(self, table: Table, allowed: Support, needed: Support) -> Equations:
        return self.model.equations(table, allowed, needed)

    def solve(self, equations: Equations) -> Values:
        return notears(equations, self.l1)


def notears(equations: Equations, l1: float) -> Values:
    """[p], the least loss + l1 |parameters| subject to h = 0, by an augmented Lagrangian (Zheng et al., 2018)."""
    parameters, alpha, rho, before = equations.start, 0.0, 1.0, np.inf
    while before > H_TOLERANCE and rho < RHO_MAX:
        lagrangian = priced(equations, cyclicity, alpha, rho)
        solved = minimise(lagrangian, parameters, l1 * equations.price, equations.tolerance)
        h, _ = cyclicity(equations.squares(solved))
        if h > 0.25 * before:  # not enough: the same step again, at a steeper price
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

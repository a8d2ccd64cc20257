"""Structural equations: how well causes explain attributes, as a smooth loss of one vector of parameters.

Each gives every edge a weight, and says how a slope in the squared weights reaches its parameters; so a penalty on
cycles, whatever it is, works for linear, logistic and nonlinear equations alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge
from scipy.special import expit
from torch import Tensor

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.graph import CausalGraph, Matrix
from ccigkit.causal.strengths import Support, covariance, fit_strengths
from ccigkit.component.options import Count, Seed, Weight
from ccigkit.errors import DataError
from ccigkit.structure.continuous.owlqn import Smooth
from ccigkit.structure.continuous.weighted import WeightedLearner
from ccigkit.structure.tables import evenly, rounded

ModelName = Literal["auto", "linear", "logistic", "mlp"]

NUDGE, RIDGE = 1e-3, 0.01
FAINT_SPREAD = 0.01  # of raw values, below which no edge can be worth its price
RAW = "learned on raw values, whose scale can give the order away: with structure.standardise=true the graph may differ"


class Equations(ABC):
    """One equation per attribute, their parameters [p] in one vector.

    `start` [p] is where to begin, `penalty` [p] the share of the penalty on an edge that falls on each parameter: 1 for
    those that make an edge, 0 for those of a required edge, and for the rest.
    """

    start: Values
    penalty: Values
    tolerance = 1e-6  # the gain, relative to the loss, below which a search ends
    notes: tuple[str, ...] = ()  # what a reader should know of them

    @abstractmethod
    def loss(self, parameters: Values) -> tuple[float, Values]:
        """How badly causes explain attributes, summed over attributes, per row; and its gradient [p]."""

    @abstractmethod
    def squares(self, parameters: Values) -> Matrix:
        """[d, d], the squared weight of each edge."""

    @abstractmethod
    def pull(self, parameters: Values, slopes: Matrix) -> Values:
        """[p], the gradient of what has the gradient [d, d] in the squared weights."""

    def weights(self, parameters: Values) -> Matrix:
        """[d, d], the weight of each edge."""
        return np.sqrt(self.squares(parameters))


Cyclicity = Callable[[Matrix], tuple[float, Matrix]]  # squared weights [d, d] to h, and its slope [d, d]


def penalised(equations: Equations, cyclicity: Cyclicity, alpha: float, rho: float = 0.0) -> Smooth:
    """Parameters [p] to loss + alpha h + rho/2 h^2 and its gradient [p]; infinite where h is."""

    def total(parameters: Values) -> tuple[float, Values]:
        h, slopes = cyclicity(equations.squares(parameters))
        if not np.isfinite(h):
            return np.inf, parameters
        value, slope = equations.loss(parameters)
        return value + alpha * h + rho / 2 * h * h, slope + equations.pull(parameters, (alpha + rho * h) * slopes)

    return total


class Weighted(Equations):
    """Equations with one weight per edge; the parameters are those of the edges allowed [d, d], then any others."""

    def __init__(self, allowed: Support, required: Support, others: int = 0) -> None:
        self.allowed, self.edges = allowed, np.count_nonzero(allowed)
        # On standardised data i -> j and j -> i look alike, and zero is a saddle between them: a nudge towards the
        # order of the columns decides, where otherwise rounding would.
        nudge = NUDGE * np.triu(np.ones(allowed.shape), 1)[allowed]
        self.start = np.append(nudge, np.zeros(others))
        self.penalty = np.append(~required[allowed], np.zeros(others))

    def weights(self, parameters: Values) -> Matrix:
        weights = np.zeros(self.allowed.shape)
        weights[self.allowed] = parameters[: self.edges]
        return weights

    def squares(self, parameters: Values) -> Matrix:
        return self.weights(parameters) ** 2

    def pull(self, parameters: Values, slopes: Matrix) -> Values:
        pulled = np.zeros_like(parameters)
        pulled[: self.edges] = 2 * parameters[: self.edges] * slopes[self.allowed]
        return pulled


class Linear(Weighted):
    """x_j = sum_i w_ij x_i + noise, by least squares on the covariance [d, d]: the rows are never looked at."""

    def __init__(self, moments: Matrix, allowed: Support, required: Support) -> None:
        super().__init__(allowed, required)
        self.moments, self.identity = moments, np.eye(len(moments))

    def loss(self, parameters: Values) -> tuple[float, Values]:
        """1/2 tr((I - W)' S (I - W))."""
        left = self.identity - self.weights(parameters)
        residual = self.moments @ left
        return 0.5 * float(np.vdot(left, residual)), -residual[self.allowed]


class Logistic(Weighted):
    """P(x_j = 1) = sigmoid(sum_i w_ij c_i + b_j) of labels 0 and 1, by maximum likelihood (Zheng et al., 2020).

    Rows [n, d] are distinct, each with the share [n] of the table that it stands for; causes c [n, d] are the labels on
    whatever scale.
    """

    def __init__(self, labels: Values, shares: Values, causes: Values, allowed: Support, required: Support) -> None:
        super().__init__(allowed, required, others=len(allowed))
        self.labels, self.shares, self.causes = labels, shares, causes

    def loss(self, parameters: Values) -> tuple[float, Values]:
        """The mean over rows of sum_j log(1 + exp(s_j)) - x_j s_j, where s_j is the equation's log odds."""
        odds = self.causes @ self.weights(parameters) + parameters[self.edges :]
        value = float(self.shares @ (np.logaddexp(0, odds) - self.labels * odds).sum(axis=1))
        error = self.shares[:, None] * (expit(odds) - self.labels)
        return value, np.append((self.causes.T @ error)[self.allowed], error.sum(axis=0))


class MLP(Equations):
    """x_j = a small network of its causes + noise, by least squares on rows [n, d] (Zheng et al., 2020).

    The weight of an edge is the norm of the first-layer weights that leave its cause; L1 holds for each of these, and a
    ridge for all weights, lest the second layer take over their scale. The search starts without causes, so an effect
    without slope, such as that of x on its square about zero, stays unseen.
    """

    tolerance = 1e-5  # far from convex: what a longer search gains, another start would gain or lose

    def __init__(self, rows: Values, allowed: Support, required: Support, hidden: int, seed: int) -> None:
        size, random = len(allowed), np.random.default_rng(seed)
        self.rows, self.allowed, self.hidden = np.column_stack([rows, np.ones(len(rows))]), allowed, hidden
        self.blocks = np.kron(np.eye(size), np.ones((hidden, 1))) > 0  # [d hidden, d]: which unit serves which equation
        edges, units = np.count_nonzero(allowed) * hidden, size * hidden
        self.at = np.cumsum([edges, units, units])  # where in the vector the next layer, or its bias, begins
        first, shift, second = np.zeros(edges), random.uniform(-1, 1, units), random.uniform(-1, 1, units)
        self.start = np.concatenate([first, shift, second, np.zeros(size)])
        self.penalty = np.append(np.repeat(~required[allowed], hidden), np.zeros(2 * units + size))
        self.ridge = np.repeat([RIDGE, 0.0, RIDGE, 0.0], np.array([edges, units, units, size]))

    def first(self, edges: Values) -> Values:
        """[d, d, hidden], the first layer's weights from cause to effect, of those that are allowed."""
        weights = np.zeros((*self.allowed.shape, self.hidden))
        weights[self.allowed] = edges.reshape(-1, self.hidden)
        return weights

    def loss(self, parameters: Values) -> tuple[float, Values]:
        """1/2 |x - f(x)|^2 per row, and the ridge."""
        edges, shift, second, bias = np.split(parameters, self.at)
        size = len(self.allowed)
        first = np.vstack([self.first(edges).reshape(size, size * self.hidden), shift])
        second_of = np.zeros(self.blocks.shape)
        second_of[self.blocks] = second
        active = np.tanh(0.5 * (self.rows @ first))  # the sigmoid's way to be fast
        active = 0.5 * active + 0.5
        error = active @ second_of + bias - self.rows[:, :-1]
        value = 0.5 * float(np.vdot(error, error)) / len(error)
        error /= len(error)
        slope = self.rows.T @ ((error @ second_of.T) * active * (1 - active))
        gradient = np.concatenate(
            [
                slope[:-1].reshape(size, size, self.hidden)[self.allowed].ravel(),
                slope[-1],
                (active.T @ error)[self.blocks],
                error.sum(axis=0),
            ]
        )
        shrunk = self.ridge * parameters
        return value + 0.5 * float(shrunk @ parameters), gradient + shrunk

    def squares(self, parameters: Values) -> Matrix:
        return np.asarray((self.first(parameters[: self.at[0]]) ** 2).sum(axis=2))

    def pull(self, parameters: Values, slopes: Matrix) -> Values:
        edges = parameters[: self.at[0]]
        pulled = 2 * edges.reshape(-1, self.hidden) * slopes[self.allowed][:, None]
        return np.append(pulled.ravel(), np.zeros(len(parameters) - len(edges)))


# --- learners ---------------------------------------------------------------------------------------------------------


def scaled_rows(table: Table, standardise: bool) -> Values:
    """Rows [n, d] about zero: latents, which have unit spread, or raw values less their mean."""
    return table.latents if standardise else table.values - table.values.mean(axis=0)


def refuse_faint(table: Table, least: float) -> None:
    """Check that raw values spread enough, in one column at least, that an edge can be found.

    Raises:
        DataError: where they do not.
    """
    spreads = table.values.std(axis=0)
    most = int(spreads.argmax())
    if spreads[most] < least:
        raise DataError(
            f"without standardise no edge can be found where all values vary so little ({table.names[most]} by "
            f"{spreads[most]:.1g}, the others by less); use larger units, or structure.standardise=true"
        )


def linear(table: Table, allowed: Support, required: Support, standardise: bool) -> Linear:
    """Linear equations on the covariance of a table."""
    moments = covariance(table) if standardise else np.cov(table.values, rowvar=False).reshape(allowed.shape)
    equations = Linear(rounded(moments), allowed, required)
    equations.notes = () if standardise else (RAW,)
    return equations


class EquationLearner(WeightedLearner):
    """A learner that searches for the best equations without cycles; a subclass says which, and how.

    Whatever the equations, what goes on learning with the images is linear on the latent scale: `learn` leaves the
    weights at the least-squares weights of its graph, none below the threshold.

    Args:
        standardise: bring attributes to unit spread; without, their scale decides much of the order.
    """

    @abstractmethod
    def equations(self, table: Table, allowed: Support, required: Support) -> Equations:
        """The equations to solve for a table, with allowed and required edges [d, d]."""

    @abstractmethod
    def solve(self, equations: Equations) -> Values:
        """The parameters [p] of the best equations, as good as without cycles."""

    def fit(self, table: Table) -> tuple[str, ...]:
        equations = self.equations(table, self.allowed.cpu().numpy(), self.needed.cpu().numpy())
        weights = equations.weights(self.solve(equations))
        with torch.no_grad():
            self.weights.copy_(torch.as_tensor(weights))
        return equations.notes

    def settled(self, graph: CausalGraph, table: Table) -> Matrix:
        strengths = fit_strengths(table, graph.adjacency)
        least = self.threshold * (1 + 1e-6)  # float32 may round it down
        return np.sign(strengths) * np.where(graph.adjacency, np.maximum(np.abs(strengths), least), 0.0)

    def reconstruction(self, latents: Tensor, weights: Tensor) -> Tensor:
        """1/2 |z - z A|^2 per row, latents [b, d]."""
        return 0.5 * (latents - latents @ weights).square().sum(dim=1).mean()


class ModelLearner(EquationLearner):
    """A learner for linear, logistic and nonlinear equations alike: the user chooses which.

    Args:
        model: linear, logistic (labels 0 and 1), mlp (curved effects), or auto: logistic where all are labels 0 and 1,
            else linear.
        hidden: width of each small network of mlp.
        rows: how many rows logistic and mlp look at, evenly spread over the sorted table.
        seed: of the first weights of mlp.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        l1: Weight = 0.02,
        threshold: Weight = 0.2,
        model: ModelName = "auto",
        standardise: bool = True,
        hidden: Count = 10,
        rows: Count = 10_000,
        seed: Annotated[Seed, Ge(0)] = 0,
    ) -> None:
        super().__init__(names, l1, threshold)
        self.model, self.standardise = model, standardise
        self.hidden, self.rows, self.seed = hidden, rows, seed

    def equations(self, table: Table, allowed: Support, required: Support) -> Equations:
        """The equations that were chosen.

        Raises:
            DataError: where logistic equations are asked for, and an attribute has values other than 0 and 1, and where
                raw values vary too little.
        """
        if not self.standardise:
            refuse_faint(table, FAINT_SPREAD)
        graded = np.flatnonzero(((table.values != 0) & (table.values != 1)).any(axis=0))
        if self.model == "linear" or (self.model == "auto" and len(graded)):
            return linear(table, allowed, required, self.standardise)
        equations: Equations
        if self.model == "mlp":
            rows = rounded(evenly(scaled_rows(table, self.standardise), self.rows))
            equations = MLP(rows, allowed, required, self.hidden, self.seed)
        elif len(graded):
            raise DataError(
                f"structure.model=logistic wants labels 0 and 1, but {table.names[graded[0]]} has other values; "
                "use structure.model=linear"
            )
        else:
            labels, counts = np.unique(evenly(table.values, self.rows), axis=0, return_counts=True)
            spread = rounded(table.values.std(axis=0)) if self.standardise else np.ones(len(allowed))
            equations = Logistic(labels, counts / counts.sum(), labels / spread, allowed, required)
        notes = [] if self.standardise else [RAW]
        if self.model == "auto":
            notes.append("model logistic: all attributes are labels 0 and 1")
        if len(table.values) > self.rows:
            notes.append(f"looked at {self.rows} of {len(table.values)} rows; structure.rows sets how many")
        equations.notes = tuple(notes)
        return equations

"""How well a set of causes explains a label: scores from how many rows have which labels together."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cache

import numpy as np
from scipy.special import expit, gammaln, xlogy

from ccigkit.causal.attributes import Values
from ccigkit.structure.scores.cells import Cells, Labels, LabelScore
from ccigkit.structure.scores.gaussian import LEAST

# of a logistic regression: steps at most, what the next must promise in nats, and the share of its promise that counts
NEWTON, CLOSE, WORTH = 100, 1e-7, 1e-4


class FullTable(LabelScore):
    """A score that pays for a full table per set of causes: any interaction is in it."""

    def score(self, target: int, causes: tuple[int, ...]) -> float:
        rows, own = self.labels.cells(target, causes).rows, int(self.labels.levels[target])
        possible = self.labels.possible(causes)
        return float(self.fit(rows, possible).sum() - self.cost(possible, own))

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        cells, own = self.labels.cells(target, causes), int(self.labels.levels[target])
        marked, scores = cells.marked(), np.full(self.size, -np.inf)
        for levels in np.unique(self.labels.levels):
            possible = self.labels.possible(causes) * int(levels)
            others = [j for j in np.flatnonzero(self.labels.levels == levels) if j != target and j not in causes]
            if others:
                tables = marked[np.array([self.labels.of[other] for other in others])]
                lowest = cells.rows - tables.sum(axis=1)
                scores[others] = self.fit(lowest, possible).sum(axis=1) - self.cost(possible, own)
                scores[others] += self.fit(tables, possible).sum(axis=(1, 2))
        return scores

    @abstractmethod
    def fit(self, rows: Values, possible: int) -> Values:
        """[...], what each cell's rows [..., labels of the target] add to the score, of so many possible cells."""

    def cost(self, possible: int, own: int) -> float:
        """What a table of so many cells costs an attribute with so many labels of its own."""
        return 0.0


class BDeu(FullTable):
    """The Bayesian Dirichlet score of labels (Heckerman et al., 1995), its prior worth `sample` rows.

    The more rows the prior is worth, the denser the graph (Silander et al., 2007); on skewed tables 1 is best.
    """

    def __init__(self, labels: Labels, sample: float = 1.0) -> None:
        super().__init__(labels)
        self.sample = sample

    def fit(self, rows: Values, possible: int) -> Values:
        whole = self.sample / possible
        each = whole / rows.shape[-1]
        labels = (gammaln(each + rows) - gammaln(each)).sum(axis=-1)
        return np.asarray(gammaln(whole) - gammaln(whole + rows.sum(axis=-1)) + labels)


class QNML(FullTable):
    """Quotient normalised maximum likelihood (Silander et al., 2018): minimax regret, and nothing to choose.

    The log-likelihood less log C(n, cells x labels) / C(n, cells), where C is what coding n rows of so many categories
    costs at worst. All graphs of one equivalence class score just alike.
    """

    def fit(self, rows: Values, possible: int) -> Values:
        return np.asarray(xlogy(rows, rows).sum(axis=-1) - xlogy(every := rows.sum(axis=-1), every))

    def cost(self, possible: int, own: int) -> float:
        return regret(self.n, possible * own) - regret(self.n, possible)


@cache
def regret(n: int, labels: int) -> float:
    """Log C(n, labels), the regret in nats of the normalised maximum likelihood code for n rows of so many labels.

    The closed form of Szpankowski and Weinberger (2012, theorem 2): within a tenth of a nat, for few labels and many.

    >>> exact = math.log(sum(math.comb(9, k) * (k / 9) ** k * (1 - k / 9) ** (9 - k) for k in range(10)))
    >>> abs(regret(9, 2) - exact) < 0.1
    True
    """
    if labels < 2:
        return 0.0
    a = labels / n
    c = 0.5 + 0.5 * math.sqrt(1 + 4 / a)
    return n * (math.log(a) + (a + 2) * math.log(c) - 1 / c) - 0.5 * math.log(c + 2 / a)


class Logistic(LabelScore):
    """BIC of logistic regressions of labels 0 and 1, fitted to the cells of the causes.

    Which cause to add is judged by the score test of each (Rao, 1948), so that one fit serves them all. Graphs of one
    equivalence class over three labels score just alike, over more of them nearly so.
    """

    exact = False

    def __init__(self, labels: Labels, penalty: float = 1.0) -> None:
        super().__init__(labels)
        self.penalty = penalty * math.log(self.n) / 2

    def score(self, target: int, causes: tuple[int, ...]) -> float:
        likelihood, _ = fit_logistic(self.labels.cells(target, causes))
        return likelihood - self.penalty * len(causes)

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        cells = self.labels.cells(target, causes)
        likelihood, chance = fit_logistic(cells)
        marked = cells.marked()  # [d, cells, 2], the rows where each attribute is 1
        rows = marked.sum(axis=2)
        slope = marked[:, :, 1].sum(axis=1) - rows @ chance
        weight = chance * (1 - chance)
        design = _design(cells)
        shared = (rows * weight) @ design
        known = (design.T * (weight * cells.rows.sum(axis=1))) @ design + LEAST * np.eye(design.shape[1])
        own = rows @ weight - (shared * np.linalg.solve(known, shared.T).T).sum(axis=1)
        gains = np.where(own > LEAST * self.n, slope**2 / np.maximum(own, LEAST) / 2, 0.0)
        scores = likelihood + gains - self.penalty * (len(causes) + 1)
        scores[[*causes, target]] = -np.inf
        return np.asarray(scores)


def fit_logistic(cells: Cells) -> tuple[float, Values]:
    """The greatest log-likelihood of a logistic regression, and each cell's chance [cells] of label 1.

    Newton's method, a step halved until it gains a share of what its slope promises. The likelihood is concave, so this
    ends at its greatest whatever the counts; whole steps may leap past it (rare labels, causes that all but decide).
    Where labels can be told apart without error it has no greatest value, and the one it tends to is met to `CLOSE`.
    """
    design, rows, ones = _design(cells), cells.rows.sum(axis=1), cells.rows[:, 1]
    share = ones.sum() / rows.sum()
    odds = np.full(len(rows), math.log(share / (1 - share)))
    likelihood = _likelihood(odds, rows, ones)
    for _ in range(NEWTON):
        chance = expit(odds)
        slope = design.T @ (ones - rows * chance)
        curvature = (design.T * (rows * chance * (1 - chance))) @ design
        curvature[np.diag_indices_from(curvature)] += LEAST * (1 + np.trace(curvature))
        step = np.linalg.solve(curvature, slope)
        promised = float(slope @ step)
        if promised < CLOSE:
            break
        onwards, size = design @ step, 1.0
        while (reached := _likelihood(odds + size * onwards, rows, ones)) < likelihood + WORTH * size * promised:
            size /= 2
            if size < LEAST:  # the digits end here
                return likelihood, chance
        odds, likelihood = odds + size * onwards, reached
    return likelihood, expit(odds)


def _likelihood(odds: Values, rows: Values, ones: Values) -> float:
    """The log-likelihood of so many ones among so many rows, cell by cell, at odds [cells] on the log scale."""
    return float(ones @ odds - rows @ np.logaddexp(0, odds))


def _design(cells: Cells) -> Values:
    """[cells, 1 + causes], a one and the causes' labels."""
    return np.column_stack([np.ones(len(cells.causes)), cells.causes])

"""How well a set of causes explains a label: scores from how many rows have which labels together."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlogy

from ccigkit.causal.attributes import Values
from ccigkit.structure.scores.cells import Cells, Labels, LabelScore
from ccigkit.structure.scores.gaussian import LEAST

# of a logistic regression: steps at most, what the next must promise in nats, and the share of its promise that counts
NEWTON, CLOSE, WORTH = 100, 1e-7, 1e-4
MOST = 200  # slopes of a regression beside a table; with more of them it takes long
ROUGH = 1e-2  # what it must promise where a table is the alternative: steps to labels that causes decide are many


class FullTable(LabelScore):
    """A score that pays for a full table per set of causes: any interaction is in it."""

    def score(self, target: int, causes: tuple[int, ...]) -> float:
        rows, own = self.labels.cells(target, causes).rows, int(self.labels.levels[target])
        possible = self.labels.possible(causes)
        return float(self.fit(rows, possible).sum() - self.cost(possible, own))

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        fits, costs = self.added(target, causes, self.labels.cells(target, causes))
        return fits - costs

    def added(self, target: int, causes: tuple[int, ...], cells: Cells) -> tuple[Values, Values]:
        """[d], the fit with each further cause added, minus infinity where it is no further one, and what it costs."""
        own, marked = int(self.labels.levels[target]), cells.marked()
        fits, costs = np.full(self.size, -np.inf), np.zeros(self.size)
        for levels in np.unique(self.labels.levels):
            possible = self.labels.possible(causes) * int(levels)
            others = [j for j in np.flatnonzero(self.labels.levels == levels) if j != target and j not in causes]
            if others:
                tables = marked[np.array([self.labels.of[other] for other in others])]
                lowest = cells.rows - tables.sum(axis=1)
                fits[others] = self.fit(lowest, possible).sum(axis=1) + self.fit(tables, possible).sum(axis=(1, 2))
                costs[others] = self.cost(possible, own)
        return fits, costs

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
    """BIC of logistic regressions of labels, multinomial where these are more than two, fitted to the causes' cells.

    Each label of a cause but the lowest has a slope of its own. Which cause to add is judged by the score test of each
    (Rao, 1948), so that one fit serves them all. Graphs of one equivalence class over three labels 0 and 1 score just
    alike, over more of them nearly so.
    """

    exact = False

    def __init__(self, labels: Labels, penalty: float = 1.0) -> None:
        super().__init__(labels)
        self.penalty = penalty * math.log(self.n) / 2

    def score(self, target: int, causes: tuple[int, ...]) -> float:
        likelihood, _ = fit_logistic(self.labels.cells(target, causes))
        return likelihood - self.penalty * slopes(self.labels, target, causes)

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        among = ~np.isin(np.arange(self.size), (target, *causes))
        promised = promises(self.labels, target, causes, self.labels.cells(target, causes), among)
        return promised - self.penalty * (slopes(self.labels, target, causes) + further_slopes(self.labels, target))


class MDL(QNML):
    """Describes a label by a table of its causes' labels or by a regression on them, by what takes fewer nats.

    Local structure by minimum description length (Friedman and Goldszmidt, 1998). The table is that of QNML, the
    regression that of Logistic, whose intercepts cost as its slopes do. So causes that act together and causes that add
    up are both found in one graph. Within an equivalence class graphs score nearly alike.

    Of many attributes some raise a fit by chance, so to say which are the causes costs half of what coding it takes, as
    in the extended BIC (Chen and Chen, 2008, gamma 1/2).
    """

    exact = False

    def score(self, target: int, causes: tuple[int, ...]) -> float:
        cells = self.labels.cells(target, causes)
        possible, own = self.labels.possible(causes), int(self.labels.levels[target])
        fit = float(self.fit(cells.rows, possible).sum())
        table, regression = fit - self.cost(possible, own), self._regression(target, causes)
        if fit - regression <= table or slopes(self.labels, target, causes) > MOST:
            return table - self.naming(len(causes))  # no regression fits better than a table
        likelihood = fit if len(causes) < 2 else fit_logistic(cells, ROUGH)[0]
        return max(table, likelihood - regression) - self.naming(len(causes))

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        cells = self.labels.cells(target, causes)
        fits, costs = self.added(target, causes, cells)
        tables = fits - costs
        more = slopes(self.labels, target, causes) + further_slopes(self.labels, target)
        regressions = math.log(self.n) / 2 * (int(self.labels.levels[target]) - 1 + more)
        among = (fits - regressions > tables) & (more <= MOST)
        naming = self.naming(len(causes) + 1)
        if not among.any():
            return tables - naming
        likelihoods = fits
        if causes:
            likelihoods = np.minimum(fits, promises(self.labels, target, causes, cells, among, ROUGH))
        return np.where(among, np.maximum(tables, likelihoods - regressions), tables) - naming

    def naming(self, causes: int) -> float:
        """What it costs to say which of the other attributes so many causes are."""
        return math.log(math.comb(self.size - 1, causes) or 1) / 2

    def _regression(self, target: int, causes: tuple[int, ...]) -> float:
        """What a regression on these causes costs."""
        return math.log(self.n) / 2 * (int(self.labels.levels[target]) - 1 + slopes(self.labels, target, causes))


def slopes(labels: Labels, target: int, causes: tuple[int, ...]) -> int:
    """How many slopes a regression of the target on these causes has."""
    return int((labels.levels[target] - 1) * (labels.levels[list(causes)] - 1).sum())


def further_slopes(labels: Labels, target: int) -> Values:
    """[d], how many more each further cause has."""
    return np.asarray((labels.levels[target] - 1) * (labels.levels - 1), dtype=np.float64)


def promises(
    labels: Labels,
    target: int,
    causes: tuple[int, ...],
    cells: Cells,
    among: npt.NDArray[np.bool_],
    close: float = CLOSE,
) -> Values:
    """[d], the log-likelihood that each further cause promises a regression on these, by its score test.

    A quadratic approximation: half the square of the slopes in the metric of what the causes leave of their curvature.
    Minus infinity where it is not `among` [d] those in question.
    """
    likelihood, chances = fit_logistic(cells, close)
    design, whole, marked = _design(cells), cells.rows.sum(axis=1), cells.marked()
    rows, own = marked.sum(axis=2), chances.shape[1] - 1
    spread = _spread(chances)  # [cells, own, own]
    slope = marked[:, :, 1:].sum(axis=1) - rows @ chances[:, 1:]  # [marks, own]
    shared = np.einsum("mc,ckl,cp->mklp", rows, spread, design, optimize=True)
    alone = np.einsum("mc,ckl->mkl", rows, spread)
    known = np.linalg.inv(_curvature(design, whole, chances))
    found = np.full(len(labels.levels), -np.inf)
    for levels in np.unique(labels.levels[among]):
        others = np.flatnonzero(among & (labels.levels == levels))
        marks = np.array([labels.of[other] for other in others])  # [others, levels - 1]
        width = marks.shape[1] * own
        together = shared[marks].reshape(len(others), width, -1)
        left = -together @ known @ together.swapaxes(1, 2)
        for i, mark in enumerate(marks.T):
            at = slice(i * own, (i + 1) * own)
            left[:, at, at] += alone[mark]
        left[:, range(width), range(width)] += LEAST * labels.codes.shape[1]
        steep = slope[marks].reshape(len(others), width, 1)
        gains = (steep * np.linalg.solve(left, steep)).sum(axis=(1, 2)) / 2
        found[others] = likelihood + np.maximum(gains, 0.0)
    return found


def fit_logistic(cells: Cells, close: float = CLOSE) -> tuple[float, Values]:
    """The greatest log-likelihood of a logistic regression, and each cell's chances [cells, labels] of the labels.

    Newton's method, a step halved until it gains a share of what its slope promises. The likelihood is concave, so this
    ends at its greatest whatever the counts; whole steps may leap past it (rare labels, causes that all but decide).
    Where labels can be told apart without error it has no greatest value, and the one it tends to is met to `close`
    nats, or about so many.
    """
    design, whole = _design(cells), cells.rows.sum(axis=1)
    shares = cells.rows.sum(axis=0) / whole.sum()
    odds = np.broadcast_to(np.log(shares[1:] / shares[0]), (len(whole), len(shares) - 1))
    likelihood, chances = _likelihood(odds, cells.rows)
    for _ in range(NEWTON):
        slope = (design.T @ (cells.rows - whole[:, None] * chances)[:, 1:]).T.ravel()  # [labels - 1 x columns]
        step = np.linalg.solve(_curvature(design, whole, chances), slope)
        promised = float(slope @ step)
        if promised < close:
            break
        onwards, size = design @ step.reshape(-1, design.shape[1]).T, 1.0
        while (found := _likelihood(odds + size * onwards, cells.rows))[0] < likelihood + WORTH * size * promised:
            size /= 2
            if size < LEAST:  # the digits end here
                return likelihood, chances
        odds = odds + size * onwards
        likelihood, chances = found
    return likelihood, chances


def _likelihood(odds: Values, rows: Values) -> tuple[float, Values]:
    """Of rows [cells, labels] at odds [cells, labels - 1] against the lowest, on the log scale; and the chances."""
    logs = np.column_stack([np.zeros(len(odds)), odds])
    logs -= logs.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return float((rows * logs).sum()), np.exp(logs)


def _curvature(design: Values, whole: Values, chances: Values) -> Values:
    """[k, k], of the log-likelihood in the weights of a design [cells, columns], label by label."""
    weighted = whole[:, None, None, None] * _spread(chances)[:, :, None] * design[:, None, :, None]
    width = weighted.shape[1] * weighted.shape[2]
    found = (design.T @ weighted.reshape(len(design), -1)).reshape(-1, *weighted.shape[1:])  # [to, k, from, l]
    matrix = np.array(found.transpose(1, 2, 3, 0)).reshape(width, width)
    matrix[range(width), range(width)] += LEAST * (1 + np.trace(matrix))
    return matrix


def _spread(chances: Values) -> Values:
    """[cells, k, k], the covariance of which label but the lowest a row has."""
    rest = chances[:, 1:]
    spread = -rest[:, :, None] * rest[:, None]
    spread[:, range(rest.shape[1]), range(rest.shape[1])] += rest
    return np.asarray(spread)


def _design(cells: Cells) -> Values:
    """[cells, columns], a one, and of each cause whether it has each label but the lowest."""
    labels = [column[:, None] == np.arange(1, column.max() + 1) for column in np.transpose(cells.causes)]
    return np.column_stack([np.ones(len(cells.causes)), *labels])

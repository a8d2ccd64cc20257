"""How well a set of causes explains a label: scores from how many rows have which labels together."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from scipy.special import expit, gammaln

from ccigkit.causal.attributes import Values
from ccigkit.structure.scores.counts import Codes, Marks, without_lowest
from ccigkit.structure.scores.gaussian import LEAST, Score

FEW = 256  # cells times labels of the target up to which all are counted, from where marks meet
# of a logistic regression: steps at most, what the next must promise in nats, and the share of its promise that counts
NEWTON, CLOSE, WORTH = 100, 1e-7, 1e-4


class Labels(Marks):
    """Marks of which it is kept where a set of them meets, and where it meets each of the others."""

    def __init__(self, columns: Values) -> None:
        super().__init__(columns)
        every = np.packbits(np.ones(len(columns), dtype=bool)).astype(np.uint8)
        every = np.pad(every, (0, -len(every) % 8)).view(np.uint64)
        self.bits = np.vstack([self.bits, every])
        self._met: dict[int, Values] = {}
        self._scratch = np.empty_like(self.bits)  # a new one each time would take longer than what is done with it

    def meeting(self, marks: int) -> Values:
        """[marks + 1], the rows with all of a set of marks, the bits of a number, and each one more; last, no more."""
        if (known := self._met.get(marks)) is None:
            every = len(self.bits) - 1
            at = [every, *(mark for mark in range(every) if marks >> mark & 1)]
            np.bitwise_and(np.bitwise_and.reduce(self.bits[at], axis=0), self.bits, out=self._scratch)
            known = self._met[marks] = np.bitwise_count(self._scratch).sum(axis=1, dtype=np.uint32).astype(np.float64)
        return known

    def possible(self, causes: tuple[int, ...]) -> int:
        """How many combinations of these causes' labels there could be."""
        return math.prod(int(self.levels[cause]) for cause in causes)

    def cells(self, target: int, causes: tuple[int, ...]) -> Cells:
        """The combinations of these causes' labels, and how the target falls there."""
        few = self.possible((*causes, target)) <= FEW
        return EveryCell(self, target, causes) if few else SeenCells(self, target, causes)


class Cells(ABC):
    """Combinations of causes' labels [cells, causes], and their rows by label of the target [cells, labels]."""

    causes: Codes
    rows: Values

    @abstractmethod
    def marked(self) -> Values:
        """[marks, cells, labels], how many of the rows have each mark."""


class EveryCell(Cells):
    """All combinations that could be, from where marks meet."""

    def __init__(self, labels: Labels, target: int, causes: tuple[int, ...]) -> None:
        columns = (*causes, target)
        levels = labels.levels[list(columns)]
        counts = np.array([labels.meeting(marks) for marks in labels.sets(columns)]).reshape(*levels, -1)
        without_lowest(counts, len(columns))
        counts = counts.reshape(-1, levels[-1], counts.shape[-1])
        self.causes = np.indices(tuple(levels[:-1].tolist())).reshape(len(causes), len(counts)).T
        self.rows, self._marked = counts[:, :, -1], counts[:, :, :-1].transpose(2, 0, 1)

    def marked(self) -> Values:
        return self._marked


class SeenCells(Cells):
    """The combinations that occur, from the rows, where too many could be."""

    def __init__(self, labels: Labels, target: int, causes: tuple[int, ...]) -> None:
        cell = labels.combined(causes)
        example = np.empty(cell.max() + 1, dtype=np.int64)
        example[cell] = np.arange(len(cell))
        own = int(labels.levels[target])
        self.labels, self.cell = labels, cell * own + labels.codes[target]
        self.causes = labels.codes[list(causes)][:, example].T
        self.rows = np.bincount(self.cell, minlength=len(example) * own).reshape(-1, own).astype(np.float64)

    def marked(self) -> Values:
        counts = [np.bincount(self.cell[has], minlength=self.rows.size) for has in self.labels.having()]
        return np.array(counts, dtype=np.float64).reshape(-1, *self.rows.shape)


class LabelScore(Score):
    """A score of labels; what it gives a set of causes is worked out once."""

    def __init__(self, columns: Values) -> None:
        self.n, self.size = columns.shape
        self.labels = Labels(columns)
        self._known: dict[tuple[int, ...], float] = {}

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        causes = tuple(sorted(causes))
        if (known := self._known.get((target, *causes))) is None:
            known = self._known[target, *causes] = self.score(target, causes)
        return known

    @abstractmethod
    def score(self, target: int, causes: tuple[int, ...]) -> float:
        """The score of the target given these causes, in order."""


class BDeu(LabelScore):
    """The Bayesian Dirichlet score of labels (Heckerman et al., 1995), its prior worth `sample` rows.

    It pays for a full table per set of causes, so it wants many rows.
    """

    def __init__(self, columns: Values, sample: float = 10.0) -> None:
        super().__init__(columns)
        self.sample = sample

    def score(self, target: int, causes: tuple[int, ...]) -> float:
        rows = self.labels.cells(target, causes).rows
        return float(self._dirichlet(rows, self.labels.possible(causes)).sum())

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        cells = self.labels.cells(target, causes)
        marked, scores = cells.marked(), np.full(self.size, -np.inf)
        for levels in np.unique(self.labels.levels):
            possible = self.labels.possible(causes) * int(levels)
            others = [j for j in np.flatnonzero(self.labels.levels == levels) if j != target and j not in causes]
            if others:
                tables = marked[np.array([self.labels.of[other] for other in others])]
                lowest = cells.rows - tables.sum(axis=1)
                scores[others] = self._dirichlet(lowest, possible).sum(axis=1)
                scores[others] += self._dirichlet(tables, possible).sum(axis=(1, 2))
        return scores

    def _dirichlet(self, rows: Values, cells: int) -> Values:
        """[...], the log-likelihood of each cell's rows [..., labels of the target], of so many possible cells."""
        whole = self.sample / cells
        each = whole / rows.shape[-1]
        labels = (gammaln(each + rows) - gammaln(each)).sum(axis=-1)
        return np.asarray(gammaln(whole) - gammaln(whole + rows.sum(axis=-1)) + labels)


class Logistic(LabelScore):
    """BIC of logistic regressions of labels 0 and 1, fitted to the cells of the causes.

    Which cause to add is judged by the score test of each (Rao, 1948), so that one fit serves them all. Graphs of one
    equivalence class over three labels score just alike, over more of them nearly so.
    """

    exact = False

    def __init__(self, columns: Values, penalty: float = 1.0) -> None:
        super().__init__(columns)
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

"""How well a set of causes explains an attribute: scores from sufficient statistics, for search over graphs.

A score is a log-likelihood less half its free parameters times log n (BIC, Schwarz 1978; BDeu brings its own price);
higher is better. The rows are read once, into moments or counts; no score but `Logistic` looks at them again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from scipy.interpolate import BSpline
from scipy.special import expit, gammaln

from ccigkit.attributes import Table, Values
from ccigkit.graph import Matrix

LEAST = 1e-10  # variance that counts as none, of an attribute with unit variance
NEWTON, CLOSE = 25, 1e-8  # steps at most of a logistic regression, and the gain in log-likelihood that ends it


class Score(ABC):
    """The local score of each of d attributes given causes, a sorted tuple of positions."""

    size: int
    equivalent = True  # whether all graphs of one equivalence class score alike
    exact = True  # whether `additions` are the very scores that `local` gives

    @abstractmethod
    def local(self, target: int, causes: tuple[int, ...]) -> float:
        """The score of the target given these causes."""

    @abstractmethod
    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        """[d], the score with each further cause added; of those already in, and of the target, minus infinity."""

    def removals(self, target: int, causes: tuple[int, ...]) -> Values:
        """The score with each of the causes, in their order, left out."""
        return np.array([self.local(target, causes[:i] + causes[i + 1 :]) for i in range(len(causes))])


class Gaussian(Score):
    """Linear Gaussian BIC from a covariance [d, d] of n rows: the cost never depends on n.

    On 0/1 columns it is not the likelihood, yet it orders causes well, at a fraction of the time of those that are.
    """

    def __init__(self, moments: Matrix, n: int, penalty: float = 1.0) -> None:
        self.size, self.n = len(moments), n
        scale = np.sqrt(np.diag(moments))
        self.moments = moments / np.outer(scale, scale)
        self.price = penalty * math.log(n) / 2

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        at = list(causes)
        together = self.moments[target, at]
        left = 1 - together @ self._precision(at) @ together if at else 1.0
        return float(self._score(left, len(at)))

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        at = list(causes)
        shared, variance = self.moments[target], 1.0  # what the causes leave of each covariance and each variance [d]
        if at:
            known = self.moments[at]
            explained = self._precision(at) @ known
            shared, variance = shared - shared[at] @ explained, 1 - (known * explained).sum(axis=0)
        left = shared[target] - shared**2 / np.maximum(variance, LEAST)
        scores = np.asarray(self._score(left, len(at) + 1))
        scores[[*at, target]] = -np.inf
        return scores

    def removals(self, target: int, causes: tuple[int, ...]) -> Values:
        at = list(causes)
        precision, together = self._precision(at), self.moments[target, at]
        weights = precision @ together
        left = 1 - together @ weights + weights**2 / precision.diagonal()
        return np.asarray(self._score(left, len(at) - 1))

    def _precision(self, at: list[int]) -> Matrix:
        return np.asarray(np.linalg.inv(self.moments[at][:, at]))

    def _score(self, left: float | Values, causes: int) -> float | Values:
        scores: float | Values = -self.n / 2 * np.log(np.maximum(left, LEAST)) - self.price * causes
        return scores


class Blocks(Score):
    """BIC of multivariate regressions: every attribute enters as one block of columns and is explained as another.

    With indicators of categories as both it is the degenerate Gaussian score for mixed data (Andrews et al., 2019);
    with the attribute itself explained by splines of its causes, the additive noise score of CAM (Buehlmann et al.,
    2014), under which the data tell arrows apart that no linear score can.
    """

    def __init__(
        self,
        columns: Values,
        heads: Sequence[slice],
        blocks: Sequence[slice],
        penalty: float = 1.0,
        *,
        equivalent: bool,
    ) -> None:
        self.size, self.n, self.equivalent = len(heads), len(columns), equivalent
        self.heads, self.blocks = [_positions(h) for h in heads], [_positions(b) for b in blocks]
        self.moments = np.cov(columns, rowvar=False) + LEAST * np.eye(columns.shape[1])
        self.price = penalty * math.log(self.n) / 2

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        head = self.heads[target]
        left = self._residuals(causes)[np.ix_(head, head)]
        return self._score(left, target, causes)

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        left, head = self._residuals(causes), self.heads[target]
        scores = np.full(self.size, -np.inf)
        for cause in range(self.size):
            if cause != target and cause not in causes:
                block = self.blocks[cause]
                shared = left[np.ix_(block, head)]
                within = left[np.ix_(block, block)] + LEAST * np.eye(len(block))
                remaining = left[np.ix_(head, head)] - shared.T @ np.linalg.solve(within, shared)
                scores[cause] = self._score(remaining, target, (*causes, cause))
        return scores

    def _residuals(self, causes: tuple[int, ...]) -> Matrix:
        """The covariance of all columns that the causes' blocks leave."""
        if not causes:
            return self.moments
        at = np.concatenate([self.blocks[cause] for cause in causes])
        known = self.moments[at]
        solved = np.linalg.solve(known[:, at] + LEAST * np.eye(len(at)), known)
        return np.asarray(self.moments - known.T @ solved)

    def _score(self, left: Matrix, target: int, causes: tuple[int, ...]) -> float:
        parameters = len(self.heads[target]) * sum(len(self.blocks[cause]) for cause in causes)
        _, logdet = np.linalg.slogdet(left + LEAST * np.eye(len(left)))
        return float(-self.n / 2 * logdet - self.price * parameters)


class Logistic(Score):
    """BIC of logistic regressions of 0/1 columns [n, d]; it looks at all the rows for every set of causes.

    Which cause to add is judged by the score test of each (Rao, 1948), so that one fit serves them all.
    """

    equivalent = exact = False

    def __init__(self, labels: Values, penalty: float = 1.0) -> None:
        self.n, self.size = labels.shape
        self.labels = labels
        self.design = np.column_stack([np.ones(self.n), (labels - labels.mean(axis=0)) / labels.std(axis=0)])
        self.price = penalty * math.log(self.n) / 2
        self._fits: dict[tuple[int, tuple[int, ...]], tuple[float, Values]] = {}

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        likelihood, _ = self._fit(target, causes)
        return likelihood - self.price * len(causes)

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        likelihood, chance = self._fit(target, causes)
        at = [0, *(cause + 1 for cause in causes)]
        weighted = self.design * (chance * (1 - chance))[:, None]
        slope = self.design.T @ (self.labels[:, target] - chance)
        shared = self.design[:, at].T @ weighted
        known = shared[:, at] + LEAST * np.eye(len(at))
        own = np.einsum("nd,nd->d", self.design, weighted) - np.einsum(
            "kd,kd->d", shared, np.linalg.solve(known, shared)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            gains = np.where(own > LEAST, slope**2 / own / 2, 0.0)[1:]
        scores = likelihood + gains - self.price * (len(causes) + 1)
        scores[[*causes, target]] = -np.inf
        return np.asarray(scores, dtype=np.float64)

    def _fit(self, target: int, causes: tuple[int, ...]) -> tuple[float, Values]:
        """The greatest log-likelihood, and each row's probability [n] there (Newton's method)."""
        if (found := self._fits.get((target, causes))) is not None:
            return found
        design, label = self.design[:, [0, *(cause + 1 for cause in causes)]], self.labels[:, target]
        weights = np.zeros(design.shape[1])
        share = label.mean()
        weights[0] = math.log(share / (1 - share))
        before = -np.inf
        for _ in range(NEWTON):
            linear = design @ weights
            chance = expit(linear)
            likelihood = float(label @ linear - np.logaddexp(0, linear).sum())
            if likelihood - before < CLOSE * self.n:
                break
            before = likelihood
            curvature = (design * (chance * (1 - chance))[:, None]).T @ design + LEAST * np.eye(len(weights))
            weights = weights + np.linalg.solve(curvature, design.T @ (label - chance))
        self._fits[target, causes] = likelihood, chance
        return likelihood, chance


class BDeu(Score):
    """The Bayesian Dirichlet score of categorical columns [n, d] of codes (Heckerman et al., 1995), from counts.

    It pays for a full table per set of causes, so it wants many rows.
    """

    def __init__(self, codes: Values, sample: float = 10.0) -> None:
        rows, counts = np.unique(codes.astype(np.int64), axis=0, return_counts=True)
        self.rows, self.counts = np.ascontiguousarray(rows.T), counts.astype(float)
        self.levels = [int(column.max()) + 1 for column in self.rows]
        self.size, self.sample = len(self.rows), sample
        self._known: dict[tuple[int, tuple[int, ...]], float] = {}

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        if (known := self._known.get((target, causes))) is None:
            known = self._known[target, causes] = self._local(target, causes)
        return known

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        return np.array(
            [
                -np.inf if c == target or c in causes else self.local(target, tuple(sorted((*causes, c))))
                for c in range(self.size)
            ]
        )

    def _local(self, target: int, causes: tuple[int, ...]) -> float:
        cell, cells = np.zeros(self.rows.shape[1], dtype=np.int64), 1
        for cause in causes:
            cell = cell * self.levels[cause] + self.rows[cause]
            cells *= self.levels[cause]
        if cells > 4 * len(cell):  # most cells are empty, and an empty one adds nothing
            cell = np.unique(cell, return_inverse=True)[1]
        own = self.levels[target]
        table = np.bincount(cell * own + self.rows[target], self.counts, minlength=own).astype(float)
        table = np.pad(table, (0, -len(table) % own)).reshape(-1, own)
        each, whole = self.sample / cells / own, self.sample / cells
        rows = gammaln(whole) - gammaln(whole + table.sum(axis=1))
        return float((rows + (gammaln(each + table) - gammaln(each)).sum(axis=1)).sum())


def indicators(table: Table, penalty: float = 1.0) -> Blocks:
    """The score of mixed data: a column per attribute, one per category but the first for a categorical one."""
    parts: list[Values] = []
    for column, latent, attribute in zip(table.values.T, table.latents.T, table.attributes, strict=True):
        if attribute.kind == "categorical":
            codes = np.unique(column)[1:]
            parts.append((column[:, None] == codes).astype(float))
        else:
            parts.append(latent[:, None])
    blocks = _slices([part.shape[1] for part in parts])
    columns = np.column_stack(parts)
    return Blocks(columns / columns.std(axis=0), blocks, blocks, penalty, equivalent=True)


def splines(table: Table, penalty: float = 1.0, knots: int = 4) -> Blocks:
    """The additive score: each attribute explained by cubic splines of its causes, knots at their quantiles."""
    latents = table.latents
    parts = [_spline(column, knots) for column in latents.T]
    blocks = _slices([part.shape[1] for part in parts], start=latents.shape[1])
    columns = np.column_stack([latents, *parts])
    heads = _slices([1] * latents.shape[1])
    return Blocks(columns / columns.std(axis=0), heads, blocks, penalty, equivalent=False)


def curved(linear: Gaussian, additive: Blocks) -> bool:
    """Whether some attribute is explained better by splines of all the others than by straight lines, by BIC."""
    for target in range(linear.size):
        others = tuple(j for j in range(linear.size) if j != target)
        if additive.local(target, others) > linear.local(target, others):
            return True
    return False


def _spline(column: Values, knots: int) -> Values:
    """[n, knots], a basis of cubic splines with interior knots at quantiles, less the constant."""
    inner = np.quantile(column, np.linspace(0, 1, max(knots - 2, 1) + 2)[1:-1])
    low, high = column.min() - 1e-9, column.max() + 1e-9
    edges = np.concatenate([[low] * 4, np.unique(inner[(inner > low) & (inner < high)]), [high] * 4])
    basis = BSpline.design_matrix(column, edges, 3).toarray()[:, 1:]
    kept = basis[:, basis.std(axis=0) > 1e-6]
    return np.asarray(kept - kept.mean(axis=0))


def _slices(sizes: Sequence[int], start: int = 0) -> list[slice]:
    ends = start + np.cumsum(sizes)
    return [slice(int(end) - size, int(end)) for end, size in zip(ends, sizes, strict=True)]


def _positions(part: slice) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.arange(part.start, part.stop)

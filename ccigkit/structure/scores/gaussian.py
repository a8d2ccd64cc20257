"""How well a set of causes explains an attribute: scores from moments, for search over graphs.

A score is a log-likelihood less half its free parameters times log n (BIC, Schwarz 1978); higher is better. The rows
are read once, into moments; no score looks at them again. Scores of labels are in `labels`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline
from scipy.linalg.lapack import dtrtri

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.graph import Matrix
from ccigkit.causal.strengths import moments_of
from ccigkit.structure.scores.base import Score
from ccigkit.structure.tables import evenly, hard_labels, rounded

Positions = npt.NDArray[np.int64]

LEAST, RIDGE = 1e-10, 1e-8  # variance that counts as none, of a column with unit variance; and what is added to it
KNOTS = 2  # of a spline, between its ends
WIDE = 2.5  # standard deviations beyond which two causes do no more together
TOGETHER = 4  # columns of a pair of causes
MANY = 40  # attributes up to which there are columns for pairs
AT_ONCE = 4  # scores of so many attributes that may be in memory, which is less than 400 MB
WORK = 50_000_000_000  # products that their moments may take
GLANCE = 10_000  # rows that decide whether curves explain more than straight lines


class Gaussian(Score):
    """Linear Gaussian BIC from a covariance [d, d] of n rows: the cost never depends on n.

    On 0/1 columns it is not the likelihood, yet it orders causes well, at a fraction of the time of those that are.
    """

    def __init__(self, moments: Matrix, n: int, penalty: float = 1.0) -> None:
        self.size, self.n = len(moments), n
        scale = np.sqrt(np.diag(moments))
        self.moments = rounded(moments / np.outer(scale, scale))
        self.penalty = penalty * math.log(n) / 2
        # A Cholesky factor for each tuple of causes: rows [k, d] are each cause's covariance with every attribute, of
        # what the causes before it leave; and the variance [d] that all of them leave. One cause more is one row more.
        self._factors: dict[tuple[int, ...], tuple[Matrix, Values]] = {}
        self._factors[()] = np.empty((0, self.size)), np.ones(self.size)

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        _, left = self._factor(causes)
        return float(self._score(left[target], len(causes)))

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        rows, left = self._factor(causes)
        shared = self.moments[target] - rows[:, target] @ rows
        scores = np.asarray(self._score(left[target] - shared * shared / left, len(causes) + 1))
        scores[target] = -np.inf
        return scores

    def removals(self, target: int, causes: tuple[int, ...]) -> Values:
        rows, left = self._factor(causes)
        inverse, _ = dtrtri(rows[:, list(causes)])
        weights = inverse @ rows[:, target]
        remaining = left[target] + weights**2 / (inverse**2).sum(axis=1)
        return np.asarray(self._score(remaining, len(causes) - 1))

    def _factor(self, causes: tuple[int, ...]) -> tuple[Matrix, Values]:
        if (known := self._factors.get(causes)) is None:
            *before, last = causes
            rows, left = self._factor(tuple(before))
            row = (self.moments[last] - rows[:, last] @ rows) / math.sqrt(left[last])
            left = np.maximum(left - row * row, LEAST)
            left[last] = np.inf  # so that it does no more
            known = self._factors[causes] = np.concatenate([rows, row[None]]), left
        return known

    def _score(self, left: float | Values, causes: int) -> float | Values:
        scores: float | Values = -self.n / 2 * np.log(np.maximum(left, LEAST)) - self.penalty * causes
        return scores


class Blocks(Score):
    """BIC of multivariate regressions: every attribute enters as a block of columns and is explained as another.

    Both are positions in a matrix of moments of all columns. With indicators of categories as both it is the degenerate
    Gaussian score for mixed data (Andrews et al., 2019); with the attribute itself explained by splines of its causes,
    the additive noise score of CAM (Bühlmann et al., 2014), under which the data tell arrows apart that no linear score
    can.
    """

    def __init__(
        self,
        moments: Matrix,
        n: int,
        heads: Sequence[Positions],
        blocks: Sequence[Positions],
        penalty: float = 1.0,
        *,
        equivalent: bool,
    ) -> None:
        self.size, self.n, self.equivalent = len(heads), n, equivalent
        self.assumed = "" if equivalent else "curves"
        self.heads, self.blocks = heads, blocks
        scale = np.sqrt(np.maximum(moments.diagonal(), LEAST))
        self.moments = moments / scale
        self.moments /= scale[:, None]
        np.fill_diagonal(self.moments, self.moments.diagonal() + RIDGE)
        self.penalty = penalty * math.log(self.n) / 2
        sizes = np.array([len(block) for block in blocks])
        self.alike = [np.flatnonzero(sizes == size) for size in np.unique(sizes)]  # attributes with blocks of one size

    def columns(self, causes: tuple[int, ...]) -> Positions:
        """The columns of these causes together."""
        return np.concatenate([np.empty(0, dtype=np.int64), *(self.blocks[cause] for cause in causes)])

    def further(self, causes: tuple[int, ...], others: Positions) -> Positions:
        """[others, columns], those that each of others with blocks of one size would add to the columns of causes."""
        return np.stack([self.blocks[other] for other in others])

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        head, at = self.heads[target], self.columns(causes)
        shared = self.moments[np.ix_(at, head)]
        left = self.moments[np.ix_(head, head)] - shared.T @ np.linalg.solve(self.moments[np.ix_(at, at)], shared)
        return float(self._score(left, target, len(at)))

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        head, at, moments = self.heads[target], self.columns(causes), self.moments
        factor = np.linalg.solve(np.linalg.cholesky(moments[np.ix_(at, at)]), moments[at])
        left = moments[np.ix_(head, head)] - factor[:, head].T @ factor[:, head]
        scores = np.full(self.size, -np.inf)
        for alike in self.alike:
            others = alike[(alike != target) & ~np.isin(alike, causes)]
            if len(others):
                more = self.further(causes, others)
                known = factor[:, more].swapaxes(0, 1)
                shared = moments[more[:, :, None], head] - known.swapaxes(1, 2) @ factor[:, head]
                within = moments[more[:, :, None], more[:, None, :]] - known.swapaxes(1, 2) @ known
                remaining = left - shared.swapaxes(1, 2) @ np.linalg.solve(within, shared)
                scores[others] = self._score(remaining, target, len(at) + more.shape[1])
        return scores

    def _score(self, left: Matrix, target: int, columns: int) -> Values:
        """Of the covariance [..., h, h] that is left of the target, with so many columns of causes."""
        head = len(self.heads[target])
        _, logarithm = np.linalg.slogdet(left)
        return np.asarray(-self.n / 2 * logarithm - self.penalty * head * columns)


class Curves(Blocks):
    """The additive score, with columns for what two causes do together besides: pairs [d, d, columns]."""

    def __init__(
        self, moments: Matrix, n: int, blocks: Sequence[Positions], pairs: Positions, penalty: float = 1.0
    ) -> None:
        super().__init__(moments, n, _blocks([1] * len(blocks)), blocks, penalty, equivalent=False)
        self.pairs = pairs

    def columns(self, causes: tuple[int, ...]) -> Positions:
        first, second = np.triu_indices(len(causes), 1)
        at = np.array(causes, dtype=np.int64)
        return np.concatenate([super().columns(causes), self.pairs[at[first], at[second]].ravel()])

    def further(self, causes: tuple[int, ...], others: Positions) -> Positions:
        together = self.pairs[others][:, list(causes)].reshape(len(others), -1)
        return np.concatenate([super().further(causes, others), together], axis=1)


# --- scores of a table ------------------------------------------------------------------------------------------------


def indicators(table: Table, penalty: float = 1.0) -> Blocks:
    """The score of mixed data: a column per attribute, one per category but the first for a categorical one."""
    parts = _straight(table)
    n, blocks = len(table.values), _blocks([part.shape[1] for part in parts])

    def features(rows: slice) -> Values:
        return np.column_stack([part[rows] for part in parts]).astype(np.float64)  # truths alone would add up to truths

    moments = rounded(moments_of(features, n, sum(map(len, blocks))))
    return Blocks(moments, n, blocks, blocks, penalty, equivalent=True)


def additive(table: Table, penalty: float = 1.0) -> Blocks:
    """The additive score: each attribute explained by cubic splines of its causes, or by what labels these have."""
    parts, labels = _straight(table), hard_labels(table)
    bent = [j for j, name in enumerate(table.names) if name not in labels]
    n, heads = len(table.values), _blocks([part.shape[1] for part in parts])
    numbers = np.column_stack([np.empty((n, 0)), *(parts[j] for j in bent)])
    splines = [Spline(column) for column in numbers.T]
    size = sum(map(len, heads))
    curved = _blocks([spline.size for spline in splines], start=size)

    def features(rows: slice) -> Values:
        return np.column_stack([*(part[rows] for part in parts), _smooth(numbers[rows], splines)]).astype(np.float64)

    moments = rounded(moments_of(features, n, size + sum(map(len, curved))))
    blocks = dict(enumerate(heads)) | dict(zip(bent, _decorrelate(moments, curved), strict=True))
    return Blocks(moments, n, heads, [*blocks.values()], penalty, equivalent=False)


def curves(table: Table, penalty: float = 1.0, scores: int = 1) -> Blocks:
    """The additive score with what every two of the causes do together, for up to MANY attributes, all numbers.

    The moments of so many columns take long, so of many rows it looks at some, evenly chosen. Otherwise: `additive`,
    and for fewer attributes where so many `scores` like this one are to be in memory at once.
    """
    size = len(table.names)
    numbers = not hard_labels(table) and all(attribute.kind != "categorical" for attribute in table.attributes)
    if size > MANY or not numbers or scores * size**4 > AT_ONCE * MANY**4:
        return additive(table, penalty)
    first, second = np.triu_indices(size, 1)
    width = size * (4 + KNOTS) + TOGETHER * len(first)
    rows = rounded(evenly(table.latents, WORK // width**2 // scores))
    splines = [Spline(column) for column in rows.T]
    blocks = _blocks([spline.size for spline in splines], start=size)

    def features(part: slice) -> Values:
        bent = shapes(rows[part])
        together = products(bent[:, np.stack([first, second])].swapaxes(1, 2))
        return np.column_stack([rows[part], _smooth(rows[part], splines), together.reshape(len(bent), -1)])

    width = size + sum(map(len, blocks)) + TOGETHER * len(first)
    moments = rounded(moments_of(features, len(rows), width))
    pairs = np.zeros((size, size, TOGETHER), dtype=np.int64)
    pairs[first, second] = pairs[second, first] = len(moments) + np.arange(-TOGETHER * len(first), 0).reshape(
        -1, TOGETHER
    )
    return Curves(moments, len(rows), _decorrelate(moments, blocks), pairs, penalty)


def curved(table: Table, penalty: float = 1.0) -> bool:
    """Whether some attribute is explained better by a curve of one other than by a straight line, by BIC.

    It takes a glance at the rows, evenly chosen.
    """
    glance = Table(table.attributes, evenly(table.values, GLANCE))
    straight, bent = indicators(glance, penalty), additive(glance, penalty)
    return any((bent.additions(j, ()) > straight.additions(j, ())).any() for j in range(straight.size))


def _straight(table: Table) -> list[Values]:
    """[n, k] for each attribute: its latents, or of a categorical one which category but the first each row has."""
    latents = rounded(table.latents)
    return [
        column[:, None] == np.unique(column)[1:] if attribute.kind == "categorical" else column[:, None]
        for column, attribute in zip(latents.T, table.attributes, strict=True)
    ]


class Spline:
    """Cubic splines of a column [n], less the constant; knots at its ends and at quantiles between them."""

    def __init__(self, column: Values) -> None:
        inner = np.unique(np.quantile(column, np.linspace(0, 1, KNOTS + 2)[1:-1]))
        self.low, self.high = column.min() - LEAST, column.max() + LEAST
        self.knots = np.concatenate([[self.low] * 4, inner[(inner > self.low) & (inner < self.high)], [self.high] * 4])
        self.size = len(self.knots) - 5

    def __call__(self, values: Values) -> Values:
        """[m, size], of values [m] within the column's range."""
        return np.asarray(BSpline.design_matrix(values, self.knots, 3).toarray()[:, 1:])


def _smooth(rows: Values, splines: Sequence[Spline]) -> Values:
    """[m, columns], the splines of each attribute of rows [m, d]."""
    return np.column_stack([spline(column) for spline, column in zip(splines, rows.T, strict=True)])


def shapes(rows: Values) -> Values:
    """[m, d, 2], Legendre's first two polynomials of rows [m, d]; products of them tell what two causes do together."""
    inside = rows.clip(-WIDE, WIDE) / WIDE
    return np.stack([inside, (3 * inside**2 - 1) / 2], axis=2)


def products(pairs: Values) -> Values:
    """[..., 4], of the shapes of two causes [..., 2, 2] each of the one times each of the other."""
    together: Values = pairs[..., 0, :, None] * pairs[..., 1, None, :]
    return together.reshape(*together.shape[:-2], TOGETHER)


def _decorrelate(moments: Matrix, blocks: Sequence[Positions]) -> list[Positions]:
    """Turn the columns of each block, in place, until none there follows from the others; the blocks that are left."""
    left = []
    for block in blocks:
        variances, directions = np.linalg.eigh(moments[np.ix_(block, block)])
        moments[:, block] = moments[:, block] @ directions
        moments[block] = directions.T @ moments[block]
        left.append(block[variances > 1e-6 * variances[-1]])
    return left


def _blocks(sizes: Sequence[int], start: int = 0) -> list[Positions]:
    ends = start + np.cumsum(sizes, dtype=np.int64)
    return [np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True)]

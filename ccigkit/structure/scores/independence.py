"""Tests of conditional independence that read the rows once, into counts or moments.

Each is called with two attributes x, y and the attributes `given`, by position, and answers with a p-value; `strength`
says how strong the dependence is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.special import chdtrc, erfc, xlogy

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.graph import Matrix
from ccigkit.causal.strengths import covariance
from ccigkit.structure.scores.counts import Codes, Marks, without_lowest
from ccigkit.structure.scores.gaussian import indicators
from ccigkit.structure.tables import hard_labels

Statistic = Callable[[Values, Values], Values]  # counts and the counts to expect, of any one shape

DENSE = 256  # cells of a table up to which it is filled from where marks meet, and not from the rows
FILLED = 5  # rows that a cell should have on the average, for a chi-square test
SURE = 1 - 1e-12  # the correlation that counts as one, so that its z is finite


class Independence(ABC):
    """A test of whether x and y are independent given others; the same question is worked out once.

    >>> chain = np.array([[1.0, 0.8, 0.64], [0.8, 1.0, 0.8], [0.64, 0.8, 1.0]])
    >>> test = FisherZ(chain, 100)
    >>> test(0, 2, ()) < 0.01, test(0, 2, (1,)) > 0.99
    (True, True)
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._known: dict[tuple[int, ...], float] = {}

    def __call__(self, x: int, y: int, given: tuple[int, ...]) -> float:
        """The chance of a dependence at least as strong as the one seen, were there none."""
        x, y, given = min(x, y), max(x, y), tuple(sorted(given))
        if (known := self._known.get((x, y, *given))) is None:
            known = self._known[x, y, *given] = self.p_value(x, y, given)
        return known

    def p_value(self, x: int, y: int, given: tuple[int, ...]) -> float:
        """The same for x < y and `given` in order."""
        statistic, freedom = self.statistic(x, y, given)
        return float(chdtrc(freedom, max(statistic, 0.0))) if freedom else 1.0

    @abstractmethod
    def statistic(self, x: int, y: int, given: tuple[int, ...]) -> tuple[float, int]:
        """A statistic that is chi-square without a dependence, about 2 n times the information; its freedom."""

    def strength(self, x: int, y: int, given: tuple[int, ...]) -> float:
        """How strong the dependence is, from 0 to 1, whatever the number of rows.

        The informational coefficient of correlation (Linfoot 1957) sqrt(1 - exp(-2 I)), of the conditional mutual
        information I without what chance adds to it. Of a linear Gaussian model it is the partial correlation.
        """
        statistic, freedom = self.statistic(min(x, y), max(x, y), tuple(sorted(given)))
        return math.sqrt(-math.expm1(-max(statistic - freedom, 0.0) / self.n))


class Counted(Independence):
    """The G-square or chi-square test on categorical columns [n, d].

    Degrees of freedom are those of the cells that can be filled: in each stratum, one less than the levels seen of x
    times one less than those seen of y (Spirtes et al., 2000).
    """

    def __init__(self, columns: Values, statistic: Statistic) -> None:
        super().__init__(len(columns))
        self.counts, self.of = Counts(columns), statistic

    def statistic(self, x: int, y: int, given: tuple[int, ...]) -> tuple[float, int]:
        table = self.counts.strata(x, y, given).astype(np.float64)
        of_x, of_y = table.sum(axis=2), table.sum(axis=1)
        stratum = of_x.sum(axis=1)
        expected = of_x[:, :, None] * of_y[:, None, :] / np.maximum(stratum, 1)[:, None, None]
        freedom = int((((of_x > 0).sum(axis=1) - 1) * ((of_y > 0).sum(axis=1) - 1))[stratum > 0].sum())
        return float(self.of(table, expected).sum()), freedom


class Stratified(Counted):
    """G-square where its strata are well filled, and where they are not Mantel's test (1963), which sparse ones suit.

    That one adds up over the strata how far x and y, as codes, go together, so it sees a dependence that points one way
    in most of them. Strata of a few rows would make G-square too large (Agresti 2013, section 6.3).
    """

    def __init__(self, columns: Values) -> None:
        super().__init__(columns, g_square)

    def statistic(self, x: int, y: int, given: tuple[int, ...]) -> tuple[float, int]:
        table = self.counts.strata(x, y, given).astype(np.float64)
        return mantel(table) if table.size * FILLED > self.n else super().statistic(x, y, given)


def mantel(table: Values) -> tuple[float, int]:
    """Mantel's statistic of counts [strata, levels of x, levels of y], and its degrees of freedom."""
    rows = table.sum(axis=(1, 2))
    table, rows = table[rows > 1], rows[rows > 1]
    of_x, of_y = table.sum(axis=2), table.sum(axis=1)
    (x, xx), (y, yy) = ((of @ codes, of @ codes**2) for of in (of_x, of_y) for codes in [np.arange(of.shape[1])])
    together = np.einsum("sij,i,j->s", table, np.arange(table.shape[1]), np.arange(table.shape[2])) - x * y / rows
    variance = float(((xx - x**2 / rows) * (yy - y**2 / rows) / (rows - 1)).sum())
    return (float(together.sum()) ** 2 / variance, 1) if variance > 0 else (0.0, 0)


def g_square(counts: Values, expected: Values) -> Values:
    """Twice the log-likelihood ratio, cell by cell."""
    return np.asarray(2 * xlogy(counts, counts / np.where(expected > 0, expected, 1)))


def chi_square(counts: Values, expected: Values) -> Values:
    """Pearson's, cell by cell."""
    return np.asarray((counts - expected) ** 2 / np.where(expected > 0, expected, 1))


class FisherZ(Independence):
    """Fisher's z of the partial correlation, from a covariance [d, d] of n rows: the test of linear Gaussian models."""

    def __init__(self, moments: Matrix, n: int) -> None:
        super().__init__(n)
        self.moments = moments

    def p_value(self, x: int, y: int, given: tuple[int, ...]) -> float:
        z = math.sqrt(max(self.n - len(given) - 3, 0)) * math.atanh(self._correlation(x, y, given))
        return float(erfc(z / math.sqrt(2)))

    def statistic(self, x: int, y: int, given: tuple[int, ...]) -> tuple[float, int]:
        return -self.n * math.log1p(-(self._correlation(x, y, given) ** 2)), 1

    def _correlation(self, x: int, y: int, given: tuple[int, ...]) -> float:
        at = [x, y, *given]
        precision = np.linalg.inv(self.moments[np.ix_(at, at)])
        return min(abs(float(precision[0, 1])) / math.sqrt(precision[0, 0] * precision[1, 1]), SURE)


class Mixed(Independence):
    """The likelihood-ratio test of regressions on attributes of any kind, a categorical one being its indicators.

    Under the degenerate Gaussian of Andrews et al. (2019); Wilks' theorem gives its distribution. Where all attributes
    are continuous it agrees with Fisher's z but for small samples.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(len(table.values))
        self.score = indicators(table, penalty=0.0)  # without a penalty a score is a log-likelihood

    def statistic(self, x: int, y: int, given: tuple[int, ...]) -> tuple[float, int]:
        gain = self.score.local(x, (*given, y)) - self.score.local(x, given)
        return 2 * gain, len(self.score.heads[x]) * len(self.score.blocks[y])


def fitting(table: Table) -> tuple[str, Independence]:
    """The test that fits the kinds of the attributes, and its name among those of `pc`."""
    if set(hard_labels(table)) == set(table.names):
        return "gsq", Counted(table.values, g_square)
    if any(attribute.kind == "categorical" for attribute in table.attributes):
        return "mixed", Mixed(table)
    return "fisherz", FisherZ(covariance(table), len(table.values))


class Counts(Marks):
    """Marks of which it is kept how many rows have a set of them, as tests that follow each other share most sets."""

    def __init__(self, columns: Values) -> None:
        super().__init__(columns)
        self._met = {0: len(columns)}

    def strata(self, x: int, y: int, given: tuple[int, ...]) -> Codes:
        """[strata, levels of x, levels of y], the table of x and y in each combination of `given`."""
        columns = (*given, x, y)
        levels = self.levels[list(columns)]
        if np.prod(levels, dtype=float) <= DENSE:
            table = np.array([self._meeting(marks) for marks in self.sets(columns)]).reshape(levels)
            without_lowest(table, len(levels))
        else:
            cell = (self.combined(given) * self.levels[x] + self.codes[x]) * self.levels[y] + self.codes[y]
            strata = int(cell.max()) // int(self.levels[x] * self.levels[y]) + 1
            table = np.bincount(cell, minlength=strata * self.levels[x] * self.levels[y])
        return table.reshape(-1, levels[-2], levels[-1])

    def _meeting(self, marks: int) -> int:
        """The number of rows with all of these marks."""
        if (known := self._met.get(marks)) is None:
            at = [mark for mark in range(marks.bit_length()) if marks >> mark & 1]
            together = np.bitwise_and.reduce(self.bits[at], axis=0)
            known = self._met[marks] = int(np.bitwise_count(together).sum(dtype=np.int64))
        return known

"""Tests of conditional independence that read the rows once, into counts or moments.

Each is called with two attributes x, y and the attributes `given`, by position, and answers with a p-value.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.special import chdtrc, erfc, xlogy

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.graph import Matrix
from ccigkit.structure.scores.counts import Codes, Marks, without_lowest
from ccigkit.structure.scores.gaussian import indicators

Statistic = Callable[[Values, Values], Values]  # counts and the counts to expect, of any one shape

DENSE = 256  # cells of a table up to which it is filled from where marks meet, and not from the rows
SURE = 1 - 1e-12  # the correlation that counts as one, so that its z is finite


class Independence(ABC):
    """A test of whether x and y are independent given others; the same question is worked out once.

    >>> chain = np.array([[1.0, 0.8, 0.64], [0.8, 1.0, 0.8], [0.64, 0.8, 1.0]])
    >>> test = FisherZ(chain, 100)
    >>> test(0, 2, ()) < 0.01, test(0, 2, (1,)) > 0.99
    (True, True)
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], float] = {}

    def __call__(self, x: int, y: int, given: tuple[int, ...]) -> float:
        """The chance of a dependence at least as strong as the one seen, were there none."""
        x, y, given = min(x, y), max(x, y), tuple(sorted(given))
        if (known := self._known.get((x, y, *given))) is None:
            known = self._known[x, y, *given] = self.p_value(x, y, given)
        return known

    @abstractmethod
    def p_value(self, x: int, y: int, given: tuple[int, ...]) -> float:
        """The same for x < y and `given` in order."""


class Counted(Independence):
    """The G-square or chi-square test on categorical columns [n, d].

    Degrees of freedom are those of the cells that can be filled: in each stratum, one less than the levels seen of x
    times one less than those seen of y (Spirtes et al., 2000).
    """

    def __init__(self, columns: Values, statistic: Statistic) -> None:
        super().__init__()
        self.counts, self.statistic = Counts(columns), statistic

    def p_value(self, x: int, y: int, given: tuple[int, ...]) -> float:
        table = self.counts.strata(x, y, given).astype(np.float64)
        of_x, of_y = table.sum(axis=2), table.sum(axis=1)
        stratum = of_x.sum(axis=1)
        expected = of_x[:, :, None] * of_y[:, None, :] / np.maximum(stratum, 1)[:, None, None]
        freedom = int((((of_x > 0).sum(axis=1) - 1) * ((of_y > 0).sum(axis=1) - 1))[stratum > 0].sum())
        return float(chdtrc(freedom, self.statistic(table, expected).sum())) if freedom else 1.0


def g_square(counts: Values, expected: Values) -> Values:
    """Twice the log-likelihood ratio, cell by cell."""
    return np.asarray(2 * xlogy(counts, counts / np.where(expected > 0, expected, 1)))


def chi_square(counts: Values, expected: Values) -> Values:
    """Pearson's, cell by cell."""
    return np.asarray((counts - expected) ** 2 / np.where(expected > 0, expected, 1))


class FisherZ(Independence):
    """Fisher's z of the partial correlation, from a covariance [d, d] of n rows: the test of linear Gaussian models."""

    def __init__(self, moments: Matrix, n: int) -> None:
        super().__init__()
        self.moments, self.n = moments, n

    def p_value(self, x: int, y: int, given: tuple[int, ...]) -> float:
        at = [x, y, *given]
        precision = np.linalg.inv(self.moments[np.ix_(at, at)])
        correlation = -precision[0, 1] / math.sqrt(precision[0, 0] * precision[1, 1])
        z = math.sqrt(max(self.n - len(given) - 3, 0)) * math.atanh(min(abs(correlation), SURE))
        return float(erfc(z / math.sqrt(2)))


class Mixed(Independence):
    """The likelihood-ratio test of regressions on attributes of any kind, a categorical one being its indicators.

    Under the degenerate Gaussian of Andrews et al. (2019); Wilks' theorem gives its distribution. Where all attributes
    are continuous it agrees with Fisher's z but for small samples.
    """

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.score = indicators(table, penalty=0.0)  # without a penalty a score is a log-likelihood

    def p_value(self, x: int, y: int, given: tuple[int, ...]) -> float:
        gain = self.score.local(x, (*given, y)) - self.score.local(x, given)
        return float(chdtrc(len(self.score.heads[x]) * len(self.score.blocks[y]), max(2 * gain, 0.0)))


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

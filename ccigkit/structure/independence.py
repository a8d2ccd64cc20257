"""Tests of conditional independence that read the rows once, into counts or moments.

Each is called with two attributes x, y and the attributes `given`, by position, and answers with a p-value.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, erfc, xlogy

from ccigkit.attributes import Table, Values
from ccigkit.graph import Matrix
from ccigkit.structure.scores import indicators

Codes = npt.NDArray[np.int64]
Statistic = Callable[[Values, Values], Values]  # counts and the counts to expect, of any one shape

SURE = 1 - 1e-12  # the correlation that counts as one, so that its z is finite
DENSE = 256  # cells of a table up to which it is filled by conjunctions, which are kept, and not from the rows


class Independence(ABC):
    """A test of whether x and y are independent given others; the same question is worked out once."""

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
        self.score = indicators(table, penalty=0.0)  # without a price a score is a log-likelihood

    def p_value(self, x: int, y: int, given: tuple[int, ...]) -> float:
        gain = self.score.local(x, (*given, y)) - self.score.local(x, given)
        return float(chdtrc(len(self.score.heads[x]) * len(self.score.blocks[y]), max(2 * gain, 0.0)))


class Counts:
    """How often combinations of categories occur in columns [n, d].

    One bit per row says whether a column is at a level, for each level but the lowest. How many rows are at several
    levels at once is the number of ones where their bits meet; these numbers are kept, as tests that follow each other
    share most of them, and the rows at a lowest level are what is left (Moebius inversion; the idea of AD-trees, Moore
    and Lee, 1998).
    """

    def __init__(self, columns: Values) -> None:
        codes = [_renumbered(column.astype(np.int64)) for column in columns.T]
        self.levels = [int(column.max()) + 1 for column in codes]
        self.codes = np.stack([column.astype(np.min_scalar_type(max(self.levels))) for column in codes])
        marks = [column == level for column, most in zip(codes, self.levels, strict=True) for level in range(1, most)]
        packed = np.stack([np.packbits(mark) for mark in marks])
        self.bits = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
        firsts = np.cumsum([0, *(most - 1 for most in self.levels)]).tolist()
        # the marks of each column as sets of one mark or none, a set being the whole number of its bits
        self._sets = [(0, *(1 << mark for mark in range(*ends))) for ends in pairwise(firsts)]
        self._met = {0: len(columns)}

    def strata(self, x: int, y: int, given: tuple[int, ...]) -> Codes:
        """[strata, levels of x, levels of y], the table of x and y in each combination of `given`."""
        columns = (*given, x, y)
        levels = [self.levels[column] for column in columns]
        table = self._dense(columns, levels) if np.prod(levels, dtype=float) <= DENSE else self._sparse(columns)
        return table.reshape(-1, levels[-2], levels[-1])

    def _dense(self, columns: tuple[int, ...], levels: list[int]) -> Codes:
        """Filled with the rows at these levels, whatever the lowest (0) stands for, then less all but the lowest."""
        sets = [0]
        for column in columns:
            sets = [marks | mark for marks in sets for mark in self._sets[column]]
        table = np.array([self._meeting(marks) for marks in sets]).reshape(levels)
        for axis in range(len(levels)):
            lowest_first = table.swapaxes(0, axis)
            lowest_first[0] -= lowest_first[1:].sum(axis=0)
        return table

    def _meeting(self, marks: int) -> int:
        """The number of rows with all of these marks."""
        if (known := self._met.get(marks)) is None:
            at = [mark for mark in range(marks.bit_length()) if marks >> mark & 1]
            together = np.bitwise_and.reduce(self.bits[at], axis=0)
            known = self._met[marks] = int(np.bitwise_count(together).sum(dtype=np.int64))
        return known

    def _sparse(self, columns: tuple[int, ...]) -> Codes:
        """From the rows, with only the strata that occur."""
        *given, x, y = columns
        stratum, strata = np.zeros(self.codes.shape[1], dtype=np.int64), 1
        for column in given:
            stratum = stratum * self.levels[column] + self.codes[column]
            strata *= self.levels[column]
            if strata > len(stratum):
                occurring, stratum = np.unique(stratum, return_inverse=True)
                strata = len(occurring)
        cell = (stratum * self.levels[x] + self.codes[x]) * self.levels[y] + self.codes[y]
        return np.bincount(cell, minlength=strata * self.levels[x] * self.levels[y])


def _renumbered(codes: Codes) -> Codes:
    """[n], the same with the codes that do not occur left out."""
    return (np.cumsum(np.bincount(codes) > 0) - 1)[codes]

"""How many rows have which labels together, from one bit per row and label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ccigkit.causal.attributes import Values

Codes = npt.NDArray[np.int64]
Number = np.int64 | np.float64


class Marks:
    """Columns [n, d] of labels, read once. One bit per row and label; the lowest label of a column needs none.

    The bits of one label are a mark. How many rows have several labels at once is the number of ones that their marks
    have in common; those with a lowest label are the rest (Moebius inversion; the idea of AD-trees, Moore and Lee,
    1998).
    """

    def __init__(self, columns: Values) -> None:
        codes = [_renumbered(column.astype(np.int64)) for column in columns.T]
        self.levels = np.array([int(column.max()) + 1 for column in codes])
        self.codes = np.stack([column.astype(np.min_scalar_type(self.levels.max())) for column in codes])
        self.of = [range(*ends) for ends in pairwise([0, *np.cumsum(self.levels - 1).tolist()])]  # each column's marks
        packed = np.stack([np.packbits(has) for has in self.having()])
        self.bits = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)

    def having(self) -> Iterator[npt.NDArray[np.bool_]]:
        """Which rows [n] have each mark, one mark after the other."""
        for column, most in zip(self.codes, self.levels, strict=True):
            for label in range(1, most):
                yield column == label

    def sets(self, columns: Sequence[int]) -> list[int]:
        """Every choice of at most one mark of each column, as the bits of a number, in the order of a table's cells."""
        sets = [0]
        for column in columns:
            sets = [marks | mark for marks in sets for mark in (0, *(1 << mark for mark in self.of[column]))]
        return sets

    def combined(self, columns: Sequence[int]) -> Codes:
        """[n], which combination of these columns' labels each row has, of those that occur."""
        found = np.zeros(self.codes.shape[1], dtype=np.int64)
        for column in columns:
            found = _renumbered(found * self.levels[column] + self.codes[column])
        return found


def without_lowest(table: npt.NDArray[Number], axes: int) -> None:
    """Make a table whose lowest label stands for any label, along its first axes, one of the labels, in place."""
    for axis in range(axes):
        along = table.swapaxes(0, axis)
        along[0] -= along[1:].sum(axis=0)


def _renumbered(codes: Codes) -> Codes:
    """[n], the same with the codes that do not occur left out."""
    return (np.cumsum(np.bincount(codes) > 0) - 1)[codes]

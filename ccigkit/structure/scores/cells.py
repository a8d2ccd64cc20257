"""The combinations of causes' labels that rows fall into, and how an attribute's labels fall there."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from ccigkit.causal.attributes import Values
from ccigkit.structure.scores.base import Score
from ccigkit.structure.scores.counts import Codes, Marks, without_lowest

FEW = 256  # cells times labels of the target up to which all are counted, from where marks meet


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
        self.causes = labels.codes[list(causes)][:, example].T.astype(np.int64)
        self.rows = np.bincount(self.cell, minlength=len(example) * own).reshape(-1, own).astype(np.float64)

    def marked(self) -> Values:
        counts = [np.bincount(self.cell[has], minlength=self.rows.size) for has in self.labels.having()]
        return np.array(counts, dtype=np.float64).reshape(-1, *self.rows.shape)


class LabelScore(Score):
    """A score of labels; what it gives a set of causes is worked out once.

    Args:
        labels: the columns, which several scores may share.
    """

    def __init__(self, labels: Labels) -> None:
        self.size, self.n = labels.codes.shape
        self.labels = labels
        self._known: dict[tuple[int, ...], float] = {}

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        causes = tuple(sorted(causes))
        if (known := self._known.get((target, *causes))) is None:
            known = self._known[target, *causes] = self.score(target, causes)
        return known

    @abstractmethod
    def score(self, target: int, causes: tuple[int, ...]) -> float:
        """The score of the target given these causes, in order."""

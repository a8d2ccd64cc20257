"""The score of a table in which attributes were set: each is explained in the rows that left it to its causes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.regimes import left_alone, set_apart
from ccigkit.structure.scores.base import Score

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Regime:
    """A score of some rows, over the attributes that vary there: `columns` are theirs in the table, `at` the reverse.

    Where an attribute does not vary, `at` is negative.
    """

    score: Score
    columns: Positions
    at: Positions

    def within(self, causes: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the causes that vary, by their place in the score."""
        return tuple(place for place in self.at[list(causes)].tolist() if place >= 0)


class ByRegime(Score):
    """Any score, of each attribute over the rows in which it was not set (Cooper and Yoo, 1999).

    With the Gaussian score it is that of GIES (Hauser and Bühlmann, 2012), each attribute's penalty by its own number
    of rows. Graphs of one interventional equivalence class score alike where the score treats those of one class so.
    An attribute that was set in all rows but a few, or is constant in those few, has no cause that raises its score.

    Args:
        table: the rows.
        score: a score from some of the rows, of some of the attributes.
    """

    def __init__(self, table: Table, score: Callable[[Table], Score]) -> None:
        self.size = len(table.names)
        self._of: dict[int, Regime] = {}
        unread = 0
        for rows, attributes in left_alone(table):
            varies = np.ptp(rows.values, axis=0) > 0 if len(rows.values) else np.zeros(self.size, dtype=bool)
            if len(rows.values) <= varies.sum():
                continue
            columns = np.flatnonzero(varies)
            part = replace(rows, truth=None).reordered([table.names[j] for j in columns])
            regime = Regime(score(part), columns, np.where(varies, np.cumsum(varies) - 1, -1))
            unread = max(unread, len(rows.values) - regime.score.n)
            self._of.update(dict.fromkeys((j for j in attributes if varies[j]), regime))
        self.n = len(table.values) - unread
        scores = [regime.score for regime in self._of.values()]
        self.apart, self.assumed = set_apart(table), max((s.assumed for s in scores), default="")
        self.equivalent, self.exact = all(s.equivalent for s in scores), all(s.exact for s in scores)

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        if (regime := self._of.get(target)) is None:
            return 0.0
        return regime.score.local(int(regime.at[target]), regime.within(causes))

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        scores = np.full(self.size, -np.inf)
        if (regime := self._of.get(target)) is not None:
            scores[regime.columns] = regime.score.additions(int(regime.at[target]), regime.within(causes))
        return scores

    def removals(self, target: int, causes: tuple[int, ...]) -> Values:
        regime = self._of.get(target)
        if regime is None or len(within := regime.within(causes)) < len(causes):
            return super().removals(target, causes)
        return regime.score.removals(int(regime.at[target]), within)

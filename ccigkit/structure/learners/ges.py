"""GES: a graph by adding the edges that raise a score most, then dropping those that do not pay."""

from __future__ import annotations

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.causal.strengths import Support
from ccigkit.component.options import Count, Positive, Weight
from ccigkit.errors import DataError
from ccigkit.structure.assess.patience import LIMIT
from ccigkit.structure.learners.score_search import ScoreName, ScoreSearch


class GES(ScoreSearch):
    """Greedy equivalence search of causal-learn (Chickering, 2002).

    Knowledge is laid on its result. It takes seconds for 20 attributes and can take many minutes for 50; `boss` finds
    better graphs sooner.

    Args:
        most: attributes beyond which it refuses to start.
    """

    name = "ges"

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        score: ScoreName = "auto",
        penalty: Positive = 2.0,
        most: Count = 40,
        limit: Weight = LIMIT,
    ) -> None:
        super().__init__(names, score=score, penalty=penalty, limit=limit)
        self.most = most

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        if len(table.names) > self.most:
            raise DataError(
                f"ges can take very long for {len(table.names)} attributes; use structure boss, "
                f"or raise structure.most={self.most}"
            )
        return super().learn(table, knowledge)

    def search(self, rows: Values, score: str) -> tuple[Support, Support]:
        from ccigkit.structure.learners import causal_learn  # it takes its time to import

        return causal_learn.ges(rows, score, self.penalty)

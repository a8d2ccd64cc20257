"""GRaSP: a graph by the order of its attributes that needs the fewest edges."""

from __future__ import annotations

from ccigkit.causal.attributes import Values
from ccigkit.causal.strengths import Support
from ccigkit.component.options import Count, Positive, Seed, Weight
from ccigkit.structure.assess.patience import LIMIT
from ccigkit.structure.learners.score_search import ScoreName, ScoreSearch


class GRaSP(ScoreSearch):
    """Greedy relaxation of the sparsest permutation, of causal-learn (Lam et al., 2022).

    Knowledge is laid on its result.

    Args:
        depth: changes of the order in a row that may be tried before one must raise the score.
        seed: of the random order to start from.
    """

    name = "grasp"

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        score: ScoreName = "auto",
        penalty: Positive = 2.0,
        depth: Count = 3,
        limit: Weight = LIMIT,
        seed: Seed = 0,
    ) -> None:
        super().__init__(names, score=score, penalty=penalty, limit=limit)
        self.depth, self.seed = depth, seed

    def search(self, rows: Values, score: str) -> tuple[Support, Support]:
        from ccigkit.structure.learners import causal_learn  # it takes its time to import

        return causal_learn.grasp(rows, score, self.penalty, self.depth, self.seed)

"""GRaSP: a graph by the order of its attributes that needs the fewest edges."""

from __future__ import annotations

from ccigkit.causal.attributes import Values
from ccigkit.causal.strengths import Support
from ccigkit.errors import ConfigError
from ccigkit.structure.learners.score_search import ScoreName, ScoreSearch


class GRaSP(ScoreSearch):
    """Greedy relaxation of the sparsest permutation, of causal-learn (Lam et al., 2022).

    Knowledge is laid on its result.

    Args:
        score: gaussian (BIC on the covariance, for 0/1 columns too), bdeu (counts, and reads all rows every time), or
            auto: bdeu where all are labels and some are categories, else gaussian.
        penalty: price of a parameter in units of BIC's, for the gaussian score.
        depth: changes of the order in a row that may be tried before one must raise the score.
        seed: of the random order to start from.
    """

    name = "grasp"

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        score: ScoreName = "auto",
        penalty: float = 2.0,
        depth: int = 3,
        seed: int = 0,
    ) -> None:
        super().__init__(names, score, penalty)
        if depth < 1:
            raise ConfigError(f"structure.depth={depth} must be at least 1")
        self.depth, self.seed = depth, seed

    def search(self, rows: Values, score: str) -> tuple[Support, Support]:
        from ccigkit.structure.learners import causal_learn  # it takes its time to import

        return causal_learn.grasp(rows, score, self.penalty, self.depth, self.seed)

"""What searches of causal-learn over graphs by a score share: the score, and knowledge laid on their result."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.causal.strengths import Support, covariance
from ccigkit.component.options import Positive, Weight
from ccigkit.errors import DataError
from ccigkit.structure.assess.equivalence import member
from ccigkit.structure.assess.patience import LIMIT, refuse_large
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.tables import by_skewness, hard_labels, listed, refuse_collinear, with_strengths

ScoreName = Literal["auto", "gaussian", "bdeu"]
PARTS = 8, 20  # attributes whose time tells how long all will take
THEIRS = {"gaussian": "local_score_BIC_from_cov", "bdeu": "local_score_BDeu"}


class ScoreSearch(StructureLearner):
    """A search that finds an equivalence class by a score, and knows nothing of background knowledge.

    Args:
        score: gaussian (BIC on the covariance, for 0/1 columns too), bdeu (counts, and reads all rows every time), or
            auto: bdeu where all are labels and some are categories, else gaussian.
        penalty: of a parameter, in units of BIC's, for the gaussian score.
        limit: seconds beyond which it refuses to start, by what it takes for some of the attributes; 0 for no limit.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        score: ScoreName = "auto",
        penalty: Positive = 2.0,
        limit: Weight = LIMIT,
    ) -> None:
        self.names, self.score, self.penalty, self.limit = names, score, penalty, limit

    @abstractmethod
    def search(self, rows: Values, score: str) -> tuple[Support, Support]:
        """Which are adjacent, and which directed [d, d], on rows [n, d] by a score of causal-learn."""

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """A member of the class that the search finds and the knowledge leaves."""
        ordered = by_skewness(table)
        refuse_collinear(covariance(table), table.names)
        score = self._score(ordered)
        rows = ordered.values if score == "bdeu" else ordered.latents
        adjacent = directed = np.zeros((len(self.names),) * 2, dtype=bool)
        search = partial(self.search, score=THEIRS[score])
        refuse_large(self.name, lambda few: search(rows[:, few]), len(self.names), self.limit, PARTS)
        if len(self.names) > 1:  # causal-learn wants two
            adjacent, directed = search(rows)
        graph = member(adjacent, directed, ordered.names, knowledge)
        notes = [f"score {score}"] if self.score == "auto" else []
        if knowledge:
            added = graph.adjacency & ~adjacent
            turned = graph.adjacency & directed.T & ~directed
            dropped = directed & ~(graph.adjacency | graph.adjacency.T)
            changes = [("added", added), ("turned", turned), ("dropped", dropped)]
            said = "; ".join(f"{what} {listed(edges, ordered.names)}" for what, edges in changes if edges.any())
            notes.append(f"the search itself takes no knowledge, which was laid on its result: {said or 'no change'}")
        return with_strengths(replace(graph, notes=(*notes, *graph.notes)), table)

    def _score(self, table: Table) -> str:
        kinds = {attribute.kind for attribute in table.attributes}
        labels = len(hard_labels(table)) == len(self.names) > 2
        if self.score == "auto":
            return "bdeu" if labels and "categorical" in kinds else "gaussian"
        if self.score == "bdeu" and not labels:
            raise DataError(
                "structure.score=bdeu counts labels of at least three attributes, all binary or categorical and none "
                "graded; use structure.score=gaussian"
            )
        return self.score

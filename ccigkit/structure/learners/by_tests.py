"""What learners by tests of independence share: which test suits the attributes, and the level at which it decides."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, Matrix
from ccigkit.causal.strengths import covariance, regress
from ccigkit.component.options import Weight
from ccigkit.errors import DataError
from ccigkit.structure.assess.patience import LIMIT, Patient
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.scores.independence import (
    Counted,
    FisherZ,
    Independence,
    Mixed,
    chi_square,
    fitting,
    g_square,
)
from ccigkit.structure.tables import by_skewness, hard_labels, refuse_collinear

Test = Literal["auto", "fisherz", "gsq", "chisq", "mixed"]
Faint = Annotated[float, Ge(0), Lt(1)]
Level = Annotated[float, Gt(0), Lt(1)]


class ByTests(StructureLearner):
    """A learner that looks at the table only through tests of independence, in an order that the data decide.

    Args:
        test: fisherz is linear, on the latent scale; gsq and chisq count hard labels; mixed is linear with categories
            as indicators; auto counts where all are labels, and is linear otherwise.
        alpha: a dependence less sure than this significance level is none.
        least: a dependence weaker than this is none, however sure; on the scale of a correlation.
        limit: seconds beyond which it refuses to go on, as soon as it can tell; 0 for no limit.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        test: Test = "auto",
        alpha: Level = 0.01,
        least: Faint = 0.0,
        limit: Weight = LIMIT,
    ) -> None:
        self.names, self.test, self.alpha, self.least, self.limit = names, test, alpha, least, limit

    @abstractmethod
    def found(self, names: tuple[str, ...], test: Independence, knowledge: Knowledge) -> CausalGraph:
        """A graph that the tests and the knowledge leave, over the names in the test's order, of any strengths."""

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """A graph that the tests and the knowledge leave, with the table's strengths."""
        ordered = by_skewness(table)
        moments = covariance(ordered)
        refuse_collinear(moments, ordered.names)
        chosen, test = self._test(ordered, moments)
        patient = Patient(test, self.name, len(ordered.names), self.alpha, self.least, self.limit)
        graph = self.found(ordered.names, patient, knowledge)
        notes = (f"tested by {chosen}", *graph.notes) if self.test == "auto" else graph.notes
        return replace(graph, strengths=regress(moments, graph.adjacency), notes=notes).reordered(table.names)

    def _test(self, table: Table, moments: Matrix) -> tuple[str, Independence]:
        """The name of the test for the kinds of the attributes, and the test."""
        if self.test == "auto":
            return fitting(table)
        hard = hard_labels(table)
        soft = [name for name in table.names if name not in hard]
        if soft and self.test in ("gsq", "chisq"):
            raise DataError(f"the test {self.test} counts hard labels, but {soft[0]} is graded; use test fisherz")
        match test := self.test:
            case "gsq":
                return test, Counted(table.values, g_square)
            case "chisq":
                return test, Counted(table.values, chi_square)
            case "mixed":
                return test, Mixed(table)
        return test, FisherZ(moments, len(table.values))
